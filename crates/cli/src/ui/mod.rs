//! Screens: they see events, and nothing else.

mod json;
mod live;
mod plain;
mod plan_text;
mod report_text;
mod words;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod snapshot_tests;

use std::io;

use bringup_core::run::event::Event;

use crate::exit_status::ExitStatus;
use crate::terminal::{self, Lines};

pub use self::json::Json;
pub use self::live::Live;
pub use self::plain::Plain;
pub use self::plan_text::PlanText;
pub use self::report_text::report_text;
pub use self::words::{fault_lines, hazard_line};

/// Shows a run.
pub trait Screen: Send {
    /// Something happened.
    ///
    /// # Errors
    /// When the terminal or file fails.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Time goes by, in milliseconds since the run began.
    ///
    /// # Errors
    /// When the terminal or file fails.
    fn tick(&mut self, at: u64) -> io::Result<()> {
        let _ = at;
        Ok(())
    }

    /// The run is over: whatever the screen has drawn over itself is taken away.
    ///
    /// # Errors
    /// When the terminal or file fails.
    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether lines may be drawn over each other and coloured.
pub fn on_terminal() -> bool {
    terminal::is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The screen for a run that acts.
pub fn screen(json: bool, verbose: u8) -> Box<dyn Screen> {
    if json {
        Box::new(Json::new(terminal::machine()))
    } else if on_terminal() {
        Box::new(Live::new(verbose))
    } else {
        Box::new(Plain::new(terminal::people(), verbose))
    }
}

/// Writes lines to standard output.
pub fn say(lines: &Lines) -> Result<(), ExitStatus> {
    written(terminal::print(lines))
}

/// Writes what a program reads to standard output.
pub fn say_exactly(text: &str) -> Result<(), ExitStatus> {
    written(terminal::print_exact(&format!("{text}\n")))
}

/// What comes of writing. A reader who closed its end has read enough; whatever else keeps output from being written is an
/// error of the command.
pub fn written(result: io::Result<()>) -> Result<(), ExitStatus> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            terminal::error(format_args!("error: cannot write to standard output: {error}"));
            Err(ExitStatus::Failed)
        }
        _ => Ok(()),
    }
}
