//! What an operating system image is, read from its beginning and its end: nothing is written to a module before that
//! is known, and what is there afterwards is held against it.

mod partitions;
mod xz;

use std::io::{self, Read};

use bringup_core::ids::Sha256;
use serde::{Deserialize, Serialize};

use self::partitions::{FileSystem, Partition, TABLE};
pub(crate) use self::xz::{dictionary as xz_dictionary, reader as xz_reader};

/// The largest eMMC that a module comes with has 32 GB; what unpacks to more fits none.
pub(crate) const LARGEST: u64 = 32 << 30;
/// How far into an image its file systems may begin: a boot partition of some gigabytes is none of ours.
const DEEPEST: u64 = 4 << 30;
/// What must be seen of a partition to know its file system.
const HEAD: usize = 2048;

/// What an image is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    /// Size of the file, in bytes.
    pub size: u64,
    /// What it writes to a module, in bytes; `None`: it does not say.
    pub written: Option<u64>,
    /// It is compressed with xz.
    pub xz: bool,
    /// The number of the partition for cloud-init's files.
    pub seed: u32,
    /// The number of the partition with the root file system.
    pub root: u32,
    /// What a module shows that holds it.
    pub witnesses: Vec<Witness>,
}

/// Some bytes of an image by which it is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Witness {
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub length: u64,
    /// Their sum.
    pub sha256: Sha256,
    /// What they are.
    pub what: String,
}

/// Why something is no image, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NoImage(pub String);

/// Reads what an image is. `file` gives its bytes from the beginning, and is read no further than needed; `end` are the
/// last bytes of a file of `size` bytes.
pub(crate) fn examine(mut file: impl Read, size: u64, end: &[u8]) -> Result<Image, NoImage> {
    let mut magic = [0; 6];
    file.read_exact(&mut magic).map_err(|_| NoImage("it is shorter than any image".to_owned()))?;
    let file = magic.chain(file);
    if magic == xz::MAGIC {
        let written = xz::written(end, size);
        if let Some(written) = written.filter(|written| *written > LARGEST) {
            return Err(NoImage(format!("it unpacks to {written} bytes, more than any module holds")));
        }
        let (seed, root, witnesses) = look(xz::reader(file).map_err(|error| unreadable(&error))?)?;
        return Ok(Image { size, written, xz: true, seed, root, witnesses });
    }
    let others = [(&b"\x1f\x8b"[..], "gzip"), (b"PK\x03\x04", "zip"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd")];
    if let Some((_, name)) = others.iter().find(|(other, _)| magic.starts_with(other)) {
        return Err(NoImage(format!("it is compressed with {name}, which no BMC unpacks")));
    }
    if size > LARGEST {
        return Err(NoImage(format!("it is {size} bytes, more than any module holds")));
    }
    let (seed, root, witnesses) = look(file)?;
    Ok(Image { size, written: Some(size), xz: false, seed, root, witnesses })
}

fn unreadable(error: &io::Error) -> NoImage {
    NoImage(format!("it cannot be unpacked: {error}"))
}

/// The partitions for cloud-init's files and for the root, and what an image is known by.
fn look(mut file: impl Read) -> Result<(u32, u32, Vec<Witness>), NoImage> {
    let mut table = vec![0; TABLE];
    let read = file.read_exact(&mut table);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => NoImage("it ends before any partition begins".to_owned()),
        _ => unreadable(&error),
    })?;
    let mut witnesses = vec![witness(0, &table, "partition table".to_owned())];
    let mut found: Vec<(Partition, FileSystem)> = Vec::new();
    let mut at = TABLE as u64;
    for partition in partitions::read(&table).ok_or_else(|| NoImage("it has no partition table".to_owned()))? {
        if partition.start < at || partition.start > DEEPEST {
            continue;
        }
        let skipped = io::copy(&mut (&mut file).take(partition.start - at), &mut io::sink());
        let mut head = vec![0; HEAD];
        if skipped.map_err(|error| unreadable(&error))? < partition.start - at || file.read_exact(&mut head).is_err() {
            return Err(NoImage(format!("it ends before its partition {} begins", partition.number)));
        }
        at = partition.start + HEAD as u64;
        if let Some(system) = partitions::file_system(&head) {
            let what = format!("{} of partition {}", system.kind, partition.number);
            let bytes = &head[system.identity.clone()];
            witnesses.push(witness(partition.start + system.identity.start as u64, bytes, what));
            found.push((partition, system));
        }
    }
    let of = |kind: &str, labels: &[&str]| {
        let mut all = found.iter().filter(|(_, system)| system.kind == kind);
        let labelled = all.clone().find(|(_, system)| labels.contains(&system.label.as_str()));
        labelled.or_else(|| all.next()).map(|(partition, _)| partition.number)
    };
    let missing = |what: &str| NoImage(format!("none of its partitions holds {what}"));
    let seed =
        of("vfat", &["CIDATA", "cidata", "system-boot"]).ok_or_else(|| missing("a vfat file system for cloud-init"))?;
    let root = of("ext4", &["cloudimg-rootfs", "writable"]).ok_or_else(|| missing("an ext4 root file system"))?;
    Ok((seed, root, witnesses))
}

fn witness(offset: u64, bytes: &[u8], what: String) -> Witness {
    Witness { offset, length: bytes.len() as u64, sha256: Sha256::of(bytes), what }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
