//! Images for tests, small and made up.

use std::io::{Read, Write};

/// Where the first and the second partition begin.
pub const PARTITIONS: [usize; 2] = [1 << 20, 2 << 20];

/// A disk with a vfat and an ext4 partition, as far as their first bytes tell; 3 MiB.
pub fn image(gpt: bool) -> Vec<u8> {
    let mut disk = vec![0; 3 << 20];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    if gpt {
        disk[446 + 4] = 0xee;
        disk[512..520].copy_from_slice(b"EFI PART");
        disk[512 + 72..512 + 80].copy_from_slice(&2u64.to_le_bytes());
        disk[512 + 80..512 + 84].copy_from_slice(&128u32.to_le_bytes());
        disk[512 + 84..512 + 88].copy_from_slice(&128u32.to_le_bytes());
    }
    for (index, start) in PARTITIONS.into_iter().enumerate() {
        let sector = (start / 512) as u64;
        if gpt {
            let entry = 1024 + 128 * index;
            disk[entry] = 0xa2;
            disk[entry + 32..entry + 40].copy_from_slice(&sector.to_le_bytes());
        } else {
            let entry = 446 + 16 * index;
            disk[entry + 4] = if index == 0 { 0x0c } else { 0x83 };
            disk[entry + 8..entry + 12].copy_from_slice(&(sector as u32).to_le_bytes());
        }
    }
    let fat = PARTITIONS[0];
    disk[fat + 510..fat + 512].copy_from_slice(&[0x55, 0xaa]);
    disk[fat + 67..fat + 87].copy_from_slice(b"\x01\x02\x03\x04CIDATA     FAT32");
    let ext = PARTITIONS[1];
    disk[ext + 1080..ext + 1082].copy_from_slice(&[0x53, 0xef]);
    disk[ext + 1128..ext + 1144].copy_from_slice(b"0123456789abcdef");
    disk[ext + 1144..ext + 1159].copy_from_slice(b"cloudimg-rootfs");
    disk
}

/// The same compressed.
pub fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new(bytes, 6).read_to_end(&mut packed).unwrap();
    packed
}

/// So many zeros, compressed: a megabyte of it is some kilobytes.
pub fn bomb(megabytes: u64) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    for _ in 0..megabytes {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}
