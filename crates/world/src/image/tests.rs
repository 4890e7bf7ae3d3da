use super::samples::{PARTITIONS, bomb, image, xz};
use super::*;

fn examined(file: &[u8]) -> Result<Image, NoImage> {
    examine(file, file.len() as u64, &file[file.len().saturating_sub(1 << 16)..])
}

#[test]
fn an_image_is_known_by_its_table_and_file_systems() {
    for gpt in [true, false] {
        let raw = image(gpt);
        let plain = examined(&raw).unwrap();
        assert_eq!((plain.seed, plain.root, plain.xz, plain.written), (1, 2, false, Some(3 << 20)));
        let packed = xz(&raw);
        let unpacked = examined(&packed).unwrap();
        assert_eq!((unpacked.xz, unpacked.size, unpacked.written), (true, packed.len() as u64, Some(3 << 20)));
        assert_eq!(unpacked.witnesses, plain.witnesses);
        for witness in &plain.witnesses {
            let (from, to) = (witness.offset as usize, (witness.offset + witness.length) as usize);
            assert_eq!(Sha256::of(&raw[from..to]), witness.sha256, "{}", witness.what);
        }
        let what: Vec<&str> = plain.witnesses.iter().map(|witness| witness.what.as_str()).collect();
        assert_eq!(what, ["partition table", "vfat of partition 1", "ext4 of partition 2"]);
    }
}

#[test]
fn whatever_a_file_holds_it_is_an_image_or_none() {
    let (mut read, mut refused) = (0, 0);
    let mut count = |file: &[u8]| if examined(file).is_ok() { read += 1 } else { refused += 1 };
    for gpt in [true, false] {
        let raw = image(gpt);
        for head in crate::mutations::of(&raw[..4096], 60) {
            count(&[&head, &raw[4096..]].concat());
        }
        for packed in crate::mutations::of(&xz(&raw), 150) {
            count(&packed);
        }
    }
    assert!(read > 20 && refused > 20, "{read} read, {refused} refused");
}

#[test]
fn what_changes_when_it_is_mounted_is_no_witness() {
    let (before, mut after) = (image(true), image(true));
    // The states of a FAT and of an ext4, times and counts of mounts.
    after[PARTITIONS[0] + 65] = 1;
    after[PARTITIONS[1] + 1024 + 44..PARTITIONS[1] + 1024 + 56].fill(7);
    assert_eq!(examined(&before), examined(&after));
    let mut other = image(true);
    other[PARTITIONS[1] + 1130] = b'X';
    assert_ne!(examined(&before), examined(&other));
}

#[test]
fn what_is_no_image() {
    let words = |file: &[u8]| examined(file).unwrap_err().0;
    assert!(words(b"").contains("shorter"));
    assert!(words(&[0; 40_000]).contains("no partition table"));
    assert!(words(b"<html>not found</html>").contains("ends before"));
    assert!(words(&image(true)[..PARTITIONS[1]]).contains("partition 2"));
    assert!(words(b"\x1f\x8b\x08 and so on").contains("gzip"));
    let mut other = image(false);
    other[PARTITIONS[1] + 1080] = 0;
    assert!(words(&other).contains("ext4"));
    let mut packed = xz(&image(true));
    let middle = packed.len() / 2;
    packed[middle..middle + 100].fill(0);
    assert!(words(&packed).contains("unpacked") || words(&packed).contains("ends"), "{}", words(&packed));
    let cut = &xz(&image(true))[..300];
    assert!(examined(cut).is_err());
}

#[test]
fn a_bomb_is_told_from_its_end_before_it_is_unpacked() {
    let packed = bomb(64);
    assert_eq!(xz::written(&packed, packed.len() as u64), Some(64 << 20));
    assert_eq!(xz::written(&packed[100..], packed.len() as u64), Some(64 << 20), "only its end is needed");
    assert_eq!(xz::written(&packed, packed.len() as u64 + 4), None, "something else stands before it");
    // A thousand blocks that each claim 40 MiB.
    let mut index = vec![0, 0xe8, 0x07];
    for _ in 0..1000 {
        index.extend([0x20, 0x80, 0x80, 0x80, 0x14]);
    }
    index.resize(index.len().next_multiple_of(4) + 4, 0);
    let mut end = index.clone();
    end.extend([0; 4]);
    end.extend((index.len() as u32 / 4 - 1).to_le_bytes());
    end.extend([0, 0, b'Y', b'Z']);
    let size = 12 + 1000 * 0x20 + end.len() as u64;
    assert_eq!(xz::written(&end, size), Some(1000 * 40 * (1 << 20)));
    let mut file = xz::MAGIC.to_vec();
    file.resize(usize::try_from(size).unwrap() - end.len(), 0);
    file.extend(&end);
    assert!(examined(&file).unwrap_err().0.contains("more than any module holds"));
}

#[test]
fn memory_for_unpacking_is_bounded() {
    let mut options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
    options.dict_size(256 << 20);
    let mut filters = liblzma::stream::Filters::new();
    filters.lzma2(&options);
    let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32).unwrap();
    let raw = image(true);
    let mut packed = Vec::new();
    liblzma::read::XzEncoder::new_stream(raw.as_slice(), stream).read_to_end(&mut packed).unwrap();
    assert!(examined(&packed).unwrap_err().0.contains("memory"));
}

#[test]
fn a_file_says_at_its_beginning_how_large_a_dictionary_it_wants() {
    use std::io::Read as _;
    // As xz(1) has them for its presets.
    for (preset, mebibytes) in [(1, 1), (3, 4), (6, 8), (8, 32), (9, 64)] {
        let mut packed = Vec::new();
        liblzma::read::XzEncoder::new(&b"some bytes"[..], preset).read_to_end(&mut packed).unwrap();
        assert_eq!(xz_dictionary(&packed), Some(mebibytes << 20), "-{preset}");
        for cut in 0..packed.len() {
            let _ = xz_dictionary(&packed[..cut]);
        }
        for mutated in crate::mutations::of(&packed, 50) {
            let _ = xz_dictionary(&mutated);
        }
    }
    assert_eq!((xz_dictionary(b""), xz_dictionary(b"MZ, no xz at all")), (None, None));
}

#[test]
fn sizes_and_filters_before_the_dictionary_are_passed_over() {
    // Stream header (magic, flags, sum), then a block header: its size in words, flags, fields.
    let file = |block: &[u8]| [&b"\xfd7zXZ\0"[..], &[0, 4, 0, 0, 0, 0], block, &[0; 20]].concat();
    for (block, dictionary) in [
        // Both sizes, as `xz -T0` writes them, of several bytes each; LZMA2 with 8 MiB.
        (&[4, 0xc0, 0x80, 0x01, 0xff, 0x7f, 0x21, 1, 22][..], Some(8 << 20)),
        // A filter for ARM64 code comes first.
        (&[3, 0x01, 0x0a, 0, 0x21, 1, 23], Some(12 << 20)),
        (&[2, 0x00, 0x21, 1, 40], Some(u64::from(u32::MAX))),
        (&[2, 0x00, 0x21, 1, 41], None),
        (&[2, 0x00, 0x03, 1, 0], None),
        (&[2, 0x00, 0x21, 0], None),
    ] {
        assert_eq!(xz_dictionary(&file(block)), dictionary, "{block:?}");
    }
}
