//! A module that is a disk of the BMC: found, held against its image, mounted, given an identity, unmounted.

use super::quote::word;
use bringup_core::ids::Sha256;

/// Exit status: no module shows up as a disk.
pub(crate) const NO_DISK: i32 = 45;
/// Exit status: what is on the module is not what was written to it.
pub(crate) const OTHER_BYTES: i32 = 46;

/// Exit status: the module shows up where another slot's does.
pub(crate) const OTHER_PORT: i32 = 47;

/// How many seconds a module has to show up.
const PATIENCE: u32 = 60;

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

/// Takes a disk's USB port out of its path in `/sys`, without the number of the bus: `1.2` of `…/1-1.2/1-1.2:1.0/host0/…`.
/// A slot's port is wired; on boards with a hub each slot has its own.
const PORT: &str = r"s#.*/[0-9]*-\([0-9.]*\):[0-9.]*/.*#\1#p";

/// The whole of it as one piece. Texts are written by the shell's own `printf`, and so show in no process list; what is
/// mounted is unmounted however it ends.
pub(crate) fn seed(script: &SeedScript<'_>) -> String {
    let Places { disks, devices, state, is } = script.places;
    let (state, slot) = (word(state), script.slot);
    let mut text = format!(
        "umask 022\nwork=$(mktemp -d /tmp/bringup.XXXXXX) && mkdir \"$work/seed\" \"$work/root\" || exit 1\n\
         leave() {{\ncd /\nfor at in \"$work/seed\" \"$work/root\"; do\n\
         tries=0; while mountpoint -q \"$at\" && ! umount \"$at\" && [ $tries -lt 5 ]; do tries=$((tries + 1)); sleep 1; done\n\
         rmdir \"$at\"\ndone\nrmdir \"$work\"\n}}\n\
         trap leave EXIT; trap 'exit 1' HUP INT TERM\n\
         {LEFTOVERS}\n\
         tries=0\nwhile :; do\nfound=\nfor vendor in {disks}/*/device/vendor; do\n[ -r \"$vendor\" ] || continue\n\
         read -r name < \"$vendor\" || :\ncase $name in {vendor}*)\n\
         disk=${{vendor%/device/vendor}}; found=\"$found ${{disk##*/}}\";; esac\ndone\n\
         set -- $found\n\
         [ $# -le 1 ] || {{ echo \"several modules show up as disks:$found\" >&2; exit {NO_DISK}; }}\n\
         [ $# -eq 1 ] && [ {is} {devices}/\"$1\" ] && break\n\
         tries=$((tries + 1))\n\
         [ $tries -lt {PATIENCE} ] || {{ echo 'no module of this kind shows up as a disk' >&2; exit {NO_DISK}; }}\n\
         sleep 1\ndone\n\
         disk={devices}/$1\ncase $disk in *[0-9]) p=p;; *) p=;; esac\n\
         port=$(readlink -f {disks}/\"$1\"/device | sed -n '{PORT}')\n\
         for record in {state}/port-*; do\n[ -n \"$port\" ] && [ -r \"$record\" ] && read -r known < \"$record\" || continue\n\
         case ${{record##*-}} in\n\
         {slot}) [ \"$known\" = \"$port\" ] || {{ echo \"the module shows up at USB port $port, that of slot {slot} was at $known\" >&2; exit {OTHER_PORT}; }};;\n\
         *) case $port in *.*) [ \"$known\" != \"$port\" ] || {{ echo \"the module shows up at USB port $port, which is slot ${{record##*-}}'s\" >&2; exit {OTHER_PORT}; }};; esac;;\n\
         esac\ndone\n",
        disks = word(disks),
        devices = word(devices),
        vendor = word(script.vendor),
    );
    for (offset, length, sha256, what) in script.witnesses {
        text.push_str(&format!(
            "got=$(dd if=\"$disk\" bs=1 skip={offset} count={length} 2>/dev/null | sha256sum)\n\
             [ \"${{got%% *}}\" = {} ] || {{ echo {} >&2; exit {OTHER_BYTES}; }}\n",
            word(&sha256.to_string()),
            word(&format!("the {what} is not that of the image")),
        ));
    }
    text.push_str(&format!(
        "seed=$disk${{p}}{}; root=$disk${{p}}{}\n\
         tries=0\nuntil [ {is} \"$seed\" ] && [ {is} \"$root\" ]; do\n\
         [ $tries -ne 2 ] || blockdev --rereadpt \"$disk\" 2>/dev/null\n\
         tries=$((tries + 1)); [ $tries -lt 15 ] || {{ echo \"$disk shows no partitions\" >&2; exit {NO_DISK}; }}\n\
         sleep 1\ndone\n\
         mount -t ext4 \"$root\" \"$work/root\" && mount -t vfat \"$seed\" \"$work/seed\" || exit 1\n\
         rm -rf \"$work/root/var/lib/cloud\" \"$work/root\"/etc/ssh/ssh_host_* || exit 1\n",
        script.seed, script.root,
    ));
    for file in script.files {
        text.push_str(&write(file));
    }
    text.push_str(&format!(
        "trap - EXIT HUP INT TERM\nleave || exit 1\n[ -z \"$port\" ] || echo \"$port\" > {state}/port-{slot}\n"
    ));
    text
}

/// What a run that was killed left mounted is of a disk that may be another by now.
const LEFTOVERS: &str = script!("leftovers.sh");

fn write(file: &SeedFile<'_>) -> String {
    let on = match file.on {
        On::Seed => "seed",
        On::Root => "root",
    };
    // Seen by nobody else before it is filled; on vfat nothing keeps anybody out, and chmod may fail.
    let chmod = match file.on {
        On::Seed => String::new(),
        On::Root => format!(" && chmod {:04o} \"$to\" && chown 0:0 \"$to\"", file.mode),
    };
    format!(
        "to=\"$work/{on}\"/{}\nmkdir -p \"${{to%/*}}\" && rm -f \"$to\" && (umask 077; printf '%s' {} > \"$to\"){chmod} || exit 1\n",
        word(file.path),
        word(file.text),
    )
}

#[cfg(test)]
mod tests;
