//! A module that is a disk of the BMC: found, held against its image, mounted, given an identity, unmounted.

use bringup_core::ids::Sha256;

use super::piece::Piece;

/// Exit status: no module shows up as a disk.
pub(crate) const NO_DISK: i32 = 45;
/// Exit status: what is on the module is not what was written to it.
pub(crate) const OTHER_BYTES: i32 = 46;

/// Exit status: the module shows up where another slot's does.
pub(crate) const OTHER_PORT: i32 = 47;

/// What goes where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeedScript<'a> {
    /// The slot that it is in.
    pub slot: u8,
    /// How the vendor of its disk begins: `Rockchip`, `RPi-MSD-`.
    pub vendor: &'a str,
    /// Offset, length, SHA-256 and name of bytes that the disk must have.
    pub witnesses: &'a [(u64, u64, Sha256, &'a str)],
    /// Number of the partition for cloud-init's files.
    pub seed: u32,
    /// Number of the partition with the root file system.
    pub root: u32,
    /// Path from the root or the seed partition, text, permission bits.
    pub files: &'a [SeedFile<'a>],
    /// Where the kernel shows disks and their device files, and where we keep what is known; others for tests.
    pub places: Places<'a>,
}

/// Where things are on a BMC.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// `/sys/block`.
    pub disks: &'a str,
    /// `/dev`.
    pub devices: &'a str,
    /// The directory of marks and records.
    pub state: &'a str,
    /// What `test` calls a device file.
    pub is: &'a str,
}

/// The real ones.
pub(crate) const PLACES: Places<'static> =
    Places { disks: "/sys/block", devices: "/dev", state: super::bmc::STATE, is: "-b" };

/// A file to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeedFile<'a> {
    /// On which of the two.
    pub on: On,
    /// Path from its root, without a slash before it.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Permission bits; vfat has none.
    pub mode: u32,
}

/// One of the two partitions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum On {
    /// cloud-init's, which anyone can read.
    Seed,
    /// The root file system.
    Root,
}

/// The whole of it as one piece. A module has 60 s to show up.
pub(crate) fn seed(script: &SeedScript<'_>) -> String {
    let Places { disks, devices, state, is } = script.places;
    let mut piece = Piece::new()
        .set("slot", script.slot.to_string())
        .set("kind", script.vendor)
        .set("disks", disks)
        .set("devices", devices)
        .set("state", state)
        .set("is", is)
        .set("seed_number", script.seed.to_string())
        .set("root_number", script.root.to_string())
        .run(script!("seed_begin.sh"))
        .run(LEFTOVERS)
        .run(script!("seed_find.sh"))
        .run(script!("seed_functions.sh"));
    for (offset, length, sha256, what) in script.witnesses {
        let sum = sha256.to_string();
        piece = piece.call("witness", [&offset.to_string(), &length.to_string(), sum.as_str(), what]);
    }
    piece = piece.run(script!("seed_mount.sh"));
    for SeedFile { on, path, text, mode } in script.files {
        piece = match on {
            On::Seed => piece.call("seed_file", [path, text]),
            On::Root => piece.call("root_file", [path, text, format!("{mode:04o}").as_str()]),
        };
    }
    piece.run(script!("seed_end.sh")).text()
}

/// What a run that was killed left mounted is of a disk that may be another by now.
const LEFTOVERS: &str = script!("leftovers.sh");

#[cfg(test)]
mod tests;
