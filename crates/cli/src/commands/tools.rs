//! `bringup tools`: taking back what the stage of that name wrote into the user's own files.

use bringup_core::site::Source;
use bringup_core::stages::SHELL_BLOCKS;
use bringup_world::{LocalSource, take_out_block};

use crate::commands::boards::block_on;
use crate::exit_status::ExitStatus;
use crate::terminal::{self, Lines};
use crate::ui::say;

/// Takes our blocks out of the shells' start-up files.
pub fn remove() -> ExitStatus {
    block_on(async {
        let home = LocalSource.home();
        let (mut status, mut found) = (ExitStatus::Done, false);
        for (file, name) in SHELL_BLOCKS {
            let path = format!("{home}/{file}");
            match take_out_block(&path, name).await {
                Ok(true) => {
                    found = true;
                    let line = Lines::one(format_args!("took the block {name} out of {path}"));
                    status = say(&line).err().unwrap_or(status);
                }
                Ok(false) => {}
                Err(error) => {
                    terminal::error(format_args!("error: {path}: {error}; nothing was changed in it"));
                    status = ExitStatus::Failed;
                }
            }
        }
        if !found && status == ExitStatus::Done {
            status = say(&Lines::one("no block of ours is in any start-up file")).err().unwrap_or(status);
        }
        status
    })
}
