//! A root that takes the whole disk, as images see to themselves at their first boot: cloud-init's `growpart` wants a
//! kernel that is told of partitions, which containers do not have.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::failure::{Failure, Tried};
use crate::run::Run;

const SECTOR: u64 = 512;

/// What may be left over.
const SLACK: u64 = 64 * 1024 * 1024;

/// Lets the last partition reach to the end of a disk that nobody has attached.
pub fn last_partition(image: &Path) -> Result<(), Failure> {
    let said = Run::new("sfdisk").arg("--json").arg(image).said()?;
    if !said.status.success() {
        // Nothing was flashed on it yet: whoever boots it says so.
        return Ok(());
    }
    let table: Value =
        serde_json::from_str(&said.out).tried(|| format!("understand the partitions of {}", image.display()))?;
    let table = &table["partitiontable"];
    let partitions = table["partitions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let end = |partition: &Value| Some(partition["start"].as_u64()? + partition["size"].as_u64()?);
    let Some(last) = partitions.last().and_then(end) else { return Ok(()) };
    let all = fs::metadata(image).tried(|| format!("read the size of {}", image.display()))?.len();
    if last * SECTOR + SLACK >= all {
        return Ok(());
    }
    let sfdisk = || Run::new("sfdisk").args(["--quiet", "--no-reread", "--no-tell-kernel"]);
    if table["label"] == "gpt" {
        // The second copy of the table lies where the image ended.
        sfdisk().args(["--relocate", "gpt-bak-std"]).arg(image).output()?;
    }
    sfdisk().args(["-N", &partitions.len().to_string()]).arg(image).input(", +\n").output().map(drop)
}

/// Lets an ext4 that is not mounted fill its partition.
pub fn file_system(partition: &Path) -> Result<(), Failure> {
    let size = Run::new("blockdev").arg("--getsize64").arg(partition).output()?;
    let head = Run::new("dumpe2fs").arg("-h").arg(partition).output()?;
    let of = |name: &str| -> Option<u64> {
        head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse().ok())
    };
    let used = of("Block count").zip(of("Block size")).map_or(0, |(count, size)| count * size);
    if size.trim().parse().is_ok_and(|size: u64| used + SLACK >= size) {
        return Ok(());
    }
    // 1 says that something was fixed, such as a journal that was played back.
    let checked = Run::new("e2fsck").args(["-f", "-p"]).arg(partition).said()?;
    if !matches!(checked.status.code(), Some(0 | 1)) {
        return Err(Failure::new(format!("check {}", partition.display()), format!("{}{}", checked.out, checked.err)));
    }
    Run::new("resize2fs").arg(partition).output().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_partition_reaches_to_the_end_once() {
        for label in ["gpt", "dos"] {
            let directory = tempfile::tempdir().unwrap();
            let image = directory.path().join("disk.img");
            fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
            last_partition(&image).unwrap();
            let table = format!("label: {label}\nstart=1MiB, size=4MiB\nstart=8MiB, size=20MiB\n");
            Run::new("sfdisk").args(["--quiet", "--no-reread"]).arg(&image).input(table).output().unwrap();
            fs::File::options().write(true).open(&image).unwrap().set_len(200 << 20).unwrap();
            last_partition(&image).unwrap();
            let json = Run::new("sfdisk").arg("--json").arg(&image).output().unwrap();
            let json: Value = serde_json::from_str(&json).unwrap();
            let partitions = json["partitiontable"]["partitions"].as_array().unwrap();
            assert_eq!((partitions.len(), &partitions[1]["start"]), (2, &Value::from(8 << 11)), "{label}");
            assert!(partitions[1]["size"].as_u64().unwrap() * SECTOR > 190 << 20, "{label}: {json}");
            let before = fs::read(&image).unwrap();
            last_partition(&image).unwrap();
            assert!(fs::read(&image).unwrap() == before, "{label}");
        }
    }
}
