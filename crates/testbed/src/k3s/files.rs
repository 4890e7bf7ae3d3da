//! Files with rights of their own, made with them: at no time can anybody else read a secret.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes one, with the directories above it.
pub fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let tried = |error: std::io::Error| format!("write {}: {error}", path.display());
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).map_err(tried)?;
    }
    let unfinished = path.with_extension("unfinished");
    let options = OpenOptions::new().create(true).write(true).truncate(true).mode(mode).open(&unfinished);
    let mut file = options.map_err(tried)?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(tried)?;
    file.write_all(text.as_bytes()).map_err(tried)?;
    fs::rename(&unfinished, path).map_err(tried)
}

/// Makes a directory that only root may enter.
pub fn private_directory(path: &Path) -> Result<(), String> {
    let tried = |error: std::io::Error| format!("make {}: {error}", path.display());
    fs::create_dir_all(path).map_err(tried)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(tried)
}

/// Writes to a file that the kernel made.
pub fn set(path: &str, value: &str) -> Result<(), String> {
    fs::write(path, value).map_err(|error| format!("write {value} to {path}: {error}"))
}
