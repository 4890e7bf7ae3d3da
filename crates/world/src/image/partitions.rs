//! Partition tables and the beginnings of file systems.

use std::ops::Range;

/// What is read as the table: the boot record, and a GPT's header and entries behind it.
pub(super) const TABLE: usize = 34 * SECTOR;
const SECTOR: usize = 512;

/// A partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Partition {
    /// As Linux counts them.
    pub number: u32,
    /// Its first byte.
    pub start: u64,
}

/// A file system, as its first bytes tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct FileSystem {
    /// `ext4` or `vfat`.
    pub kind: &'static str,
    /// Its label.
    pub label: String,
    /// Which of the bytes are its own identity and label, and stay when it is mounted.
    pub identity: Range<usize>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut wide = [0; 8];
    wide.get_mut(..N)?.copy_from_slice(bytes.get(at..at + N)?);
    Some(u64::from_le_bytes(wide))
}

/// The partitions in the order in which they lie; `None`: this is no partition table.
pub(super) fn read(table: &[u8]) -> Option<Vec<Partition>> {
    if table.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    let kinds: Vec<u8> = (0..4).filter_map(|entry| table.get(446 + 16 * entry + 4).copied()).collect();
    let mut found = if kinds.contains(&0xee) { gpt(table)? } else { mbr(table, &kinds) };
    found.sort_by_key(|partition| partition.start);
    (!found.is_empty()).then_some(found)
}

fn mbr(table: &[u8], kinds: &[u8]) -> Vec<Partition> {
    let mut found = Vec::new();
    for ((number_in_table, kind), entry) in (1..).zip(kinds).zip(0..) {
        // Empty, or a container of others.
        if [0x00, 0x05, 0x0f].contains(kind) {
            continue;
        }
        if let Some(start) = number::<4>(table, 446 + 16 * entry + 8).filter(|start| *start > 0) {
            found.push(Partition { number: number_in_table, start: start * SECTOR as u64 });
        }
    }
    found
}

fn gpt(table: &[u8]) -> Option<Vec<Partition>> {
    let header = table.get(SECTOR..2 * SECTOR)?;
    if !header.starts_with(b"EFI PART") {
        return None;
    }
    let first = usize::try_from(number::<8>(header, 72)?).ok()?.checked_mul(SECTOR)?;
    let (count, size) = (number::<4>(header, 80)?, usize::try_from(number::<4>(header, 84)?).ok()?);
    let mut found = Vec::new();
    for (number_in_table, entry) in (1..).zip(0..usize::try_from(count.min(128)).ok()?) {
        let Some(entry) = entry.checked_mul(size).and_then(|at| table.get(first.checked_add(at)?..)) else { break };
        let Some(kind) = entry.get(..16) else { break };
        if kind.iter().any(|byte| *byte != 0) {
            let start = number::<8>(entry, 32)?.checked_mul(SECTOR as u64)?;
            found.push(Partition { number: number_in_table, start });
        }
    }
    Some(found)
}

/// What a partition's first 2 KiB say that it holds.
pub(super) fn file_system(head: &[u8]) -> Option<FileSystem> {
    // The superblock lies 1 KiB into it; its magic number, identity and label at 56, 104 and 120 from there.
    if head.get(1080..1082)? == [0x53, 0xef] {
        return Some(FileSystem { kind: "ext4", label: label(&head[1144..1160]), identity: 1128..1160 });
    }
    if head.get(510..512)? != [0x55, 0xaa] {
        return None;
    }
    // Serial number and label stand behind an extended boot signature, at another place in FAT32. A mounted one writes
    // the byte before.
    if head.get(82..87)? == b"FAT32" {
        return Some(FileSystem { kind: "vfat", label: label(&head[71..82]), identity: 67..82 });
    }
    if head.get(54..57)? == b"FAT" {
        return Some(FileSystem { kind: "vfat", label: label(&head[43..54]), identity: 39..54 });
    }
    None
}

fn label(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned()
}
