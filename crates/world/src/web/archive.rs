//! One file out of a gzipped tar archive.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::error::WebError;

/// No tool that we install is larger.
const MOST: u64 = 1 << 30;

/// Writes a member's bytes to `to`. The archive's own paths name nothing on our disk: they are only compared with.
pub(crate) fn extract(archive: &Path, member: &str, to: &mut File) -> Result<(), WebError> {
    let odd = |error: io::Error| WebError::Archive(format!("it is no gzipped tar archive: {error}"));
    let file = File::open(archive).map_err(|error| WebError::Local(archive.display().to_string(), error))?;
    let mut tar = tar::Archive::new(MultiGzDecoder::new(io::BufReader::new(file)));
    for entry in tar.entries().map_err(odd)? {
        let mut entry = entry.map_err(odd)?;
        let path = entry.path_bytes();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        if path != member.as_bytes() || !entry.header().entry_type().is_file() {
            continue;
        }
        if entry.size() > MOST {
            return Err(WebError::Archive(format!("{member} would be {} bytes", entry.size())));
        }
        io::copy(&mut (&mut entry).take(MOST), to).map_err(odd)?;
        return to.flush().map_err(|error| WebError::Local(member.to_owned(), error));
    }
    Err(WebError::Archive(format!("it holds no file {member}")))
}
