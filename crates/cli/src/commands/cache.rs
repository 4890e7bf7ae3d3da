//! `bringup cache`: what was fetched once, and its end.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bringup_world::{CACHE_BOUND, Cached, cached, clean_cache};

use crate::args::CacheCommand;
use crate::commands::site::UserDirectories;
use crate::exit_status::ExitStatus;
use crate::terminal::{self, Lines};
use crate::ui::say;

const DAY: u64 = 24 * 3600;

/// Runs it.
pub fn run(command: &CacheCommand) -> ExitStatus {
    let directory = PathBuf::from(UserDirectories::of_user().cache);
    let done = match command {
        CacheCommand::List => cached(&directory).map(|files| list(&files)),
        CacheCommand::Clean { unused_days } => clean_cache(&directory, Duration::from_secs(unused_days * DAY))
            .map(|freed| Lines::one(format_args!("{} freed", size(freed)))),
    };
    match done {
        Ok(text) => say(&text).err().unwrap_or(ExitStatus::Done),
        Err(error) => {
            terminal::error(format_args!("error: the cache {}: {error}", directory.display()));
            ExitStatus::Failed
        }
    }
}

/// A line a file, the longest unused first, then all of it. What we keep beside a file for ourselves is counted with it.
fn list(files: &[Cached]) -> Lines {
    let now = SystemTime::now();
    let mut text = Lines::default();
    for file in files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') && !name.ends_with(".part") {
            continue;
        }
        let days = now.duration_since(file.used).unwrap_or_default().as_secs() / DAY;
        let used = match days {
            0 => "used today".to_owned(),
            1 => "used yesterday".to_owned(),
            days => format!("used {days} days ago"),
        };
        text.push(format_args!("{:>10}  {used:<18} {}", size(file.size), file.path.display()));
    }
    let all = files.iter().map(|file| file.size).sum();
    text.push(format_args!("{:>10}  of at most {}", size(all), size(CACHE_BOUND)));
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=999_999 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..=999_999_999 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}
