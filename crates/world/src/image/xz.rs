//! xz: unpacked within bounds, and what it unpacks to told from its end.

use std::io::{self, BufReader, Read};

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

/// What a file begins with.
pub(super) const MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// A dictionary of 64 MiB is what `xz -9` makes; the decoder wants a little more.
const MOST_MEMORY: u64 = 80 << 20;
const HEADER: u64 = 12;
const FOOTER: usize = 12;

/// Unpacks as it is read.
///
/// # Errors
/// Later, when read: more memory than 80 MiB wanted, or bytes that are no xz.
pub(crate) fn reader<R: Read>(file: R) -> io::Result<XzDecoder<BufReader<R>>> {
    let stream = Stream::new_stream_decoder(MOST_MEMORY, CONCATENATED)?;
    Ok(XzDecoder::new_stream(BufReader::with_capacity(256 << 10, file), stream))
}

/// What a file of this `size` says that it unpacks to, from its last bytes; `None` where they do not tell: it is cut off,
/// or several streams in a row. Format: <https://tukaani.org/xz/xz-file-format.txt>, 2.1.2 and 4.
pub(super) fn written(end: &[u8], size: u64) -> Option<u64> {
    let footer = end.get(end.len().checked_sub(FOOTER)?..)?;
    if footer.get(10..)? != b"YZ" {
        return None;
    }
    let index_size = (u64::from(u32::from_le_bytes(footer.get(4..8)?.try_into().ok()?)) + 1) * 4;
    let index_start = end.len().checked_sub(FOOTER)?.checked_sub(usize::try_from(index_size).ok()?)?;
    let mut index = &end[index_start..end.len() - FOOTER];
    if take(&mut index)? != 0 {
        return None;
    }
    let records = number(&mut index)?;
    let (mut packed, mut unpacked) = (0u64, 0u64);
    for _ in 0..records {
        let padded = number(&mut index)?.checked_add(3)? & !3;
        packed = packed.checked_add(padded)?;
        unpacked = unpacked.checked_add(number(&mut index)?)?;
    }
    // Anything else before this stream would not be counted.
    let all = HEADER.checked_add(packed)?.checked_add(index_size)?.checked_add(FOOTER as u64)?;
    (all == size).then_some(unpacked)
}

/// How many bytes of dictionary a file's first block wants to be unpacked with, from the file's first bytes; `None` where
/// they do not tell. Format: <https://tukaani.org/xz/xz-file-format.txt>, 3.1 and 5.3.1.
pub(crate) fn dictionary(head: &[u8]) -> Option<u64> {
    const LZMA2: u64 = 0x21;
    let block = head.strip_prefix(&MAGIC)?.get(HEADER as usize - MAGIC.len()..)?;
    let (size, flags) = (*block.first()?, *block.get(1)?);
    let mut rest = block.get(2..(usize::from(size) + 1) * 4)?;
    // Its packed and its unpacked size may stand before the filters.
    for bit in [0x40, 0x80] {
        if flags & bit != 0 {
            number(&mut rest)?;
        }
    }
    for _ in 0..=flags & 3 {
        let (filter, length) = (number(&mut rest)?, usize::try_from(number(&mut rest)?).ok()?);
        let properties = rest.get(..length)?;
        rest = &rest[length..];
        if filter == LZMA2 {
            return match *properties.first()? {
                40 => Some(u64::from(u32::MAX)),
                bits @ 0..40 => Some((2 | u64::from(bits & 1)) << (bits / 2 + 11)),
                _ => None,
            };
        }
    }
    None
}

fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*first)
}

/// Seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = take(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
