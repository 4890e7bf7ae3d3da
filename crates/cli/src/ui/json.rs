//! One event a line, as JSON.

use std::io::{self, Write};

use bringup_core::run::event::Event;

use super::Screen;

/// Writes events as they are.
pub struct Json<W>(W);

impl<W: Write> Json<W> {
    /// To here.
    pub fn new(out: W) -> Self {
        Self(out)
    }
}

impl<W: Write + Send> Screen for Json<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, event)?;
        self.0.write_all(b"\n")
    }
}
