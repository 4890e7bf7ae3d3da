//! Screens: they see events, and nothing else.

mod json;
mod live;
mod plain;
mod plan_text;
mod report_text;
mod words;

use std::io::{self, IsTerminal, Write};

use bringup_core::event::Event;

pub use self::json::Json;
pub use self::live::Live;
pub use self::plain::Plain;
pub use self::plan_text::PlanText;
pub use self::report_text::report_text;
pub use self::words::fault_lines;

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
    io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The screen for a run that acts.
pub fn screen(json: bool, verbose: u8) -> Box<dyn Screen> {
    if json {
        Box::new(Json::new(io::stdout()))
    } else if on_terminal() {
        Box::new(Live::new(verbose))
    } else {
        Box::new(Plain::new(io::stdout(), verbose))
    }
}

/// Writes a line to standard output. That whoever closed it does not want to read on changes nothing of what is done.
pub fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
