//! The one place where text becomes output: nothing else in this crate may write to standard output or standard error
//! (`clippy.toml` sees to that).
//!
//! Text for people is a [`Lines`], and what a target, a site or the web said reaches a terminal only as part of one of
//! its lines: escaped, and never as a line of its own. What programs read (`--json`) is written as it is.

mod password;
mod text;

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Stdout, Write};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

pub use self::text::{Line, Lines, console_text, value};

/// Writes lines for people.
pub struct People<W>(W);

impl<W: Write> People<W> {
    /// To here.
    pub fn new(out: W) -> Self {
        Self(out)
    }

    /// One line, whatever is in the text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.0, "{}", Line::new(text))
    }

    /// Hands on what was kept back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard output for programs, who get every byte as it is.
#[expect(clippy::disallowed_methods, reason = "this is the module that writes")]
pub fn machine() -> Stdout {
    io::stdout()
}

/// Standard output for people.
pub fn people() -> People<Stdout> {
    People::new(machine())
}

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    machine().is_terminal()
}

/// Writes lines to standard output; they are out when this returns.
///
/// # Errors
/// When they cannot be written, or nobody reads them.
pub fn print(lines: &Lines) -> io::Result<()> {
    print_exact(&lines.to_string())
}

/// Writes what a program reads to standard output, as it is.
///
/// # Errors
/// When it cannot be written, or nobody reads it.
pub fn print_exact(text: &str) -> io::Result<()> {
    let mut out = machine().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a line to standard error. Where that fails there is nowhere left to say so.
pub fn error(text: impl Display) {
    let _ = write_error(&format!("{}\n", Line::new(text)));
}

/// Writes lines to standard error.
pub fn errors(lines: &Lines) {
    let _ = write_error(&lines.to_string());
}

/// Asks a question, below what it is about, and gives the line that was typed; `None` where there is no terminal to ask
/// on.
///
/// # Errors
/// When the terminal fails.
pub fn ask(about: &Lines, question: &str) -> io::Result<Option<String>> {
    if !io::stdin().is_terminal() {
        return Ok(None);
    }
    write_error(&format!("{about}{}", Line::new(question)))?;
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then_some(line))
}

/// Asks for a password without showing it.
///
/// # Errors
/// When there is no terminal, or it fails.
pub fn password(question: &str) -> io::Result<String> {
    password::ask(Line::new(question).as_str())
}

#[expect(clippy::disallowed_methods, reason = "this is the module that writes")]
fn write_error(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

/// Standard output for rows that are drawn over each other, and how many of them have room.
#[expect(clippy::disallowed_methods, reason = "this is the module that writes")]
pub fn drawn() -> (ProgressDrawTarget, u16) {
    (ProgressDrawTarget::stdout(), console::Term::stdout().size().0)
}

/// Writes a line above the rows.
///
/// # Errors
/// When the terminal fails.
#[expect(clippy::disallowed_methods, reason = "this is the module that writes")]
pub fn print_above(rows: &MultiProgress, text: impl Display) -> io::Result<()> {
    rows.println(Line::new(text).as_str())
}

/// Sets the words of a row.
#[expect(clippy::disallowed_methods, reason = "this is the module that writes")]
pub fn set_message(row: &ProgressBar, text: impl Display) {
    row.set_message(Line::new(text).to_string());
}

/// Sets what a row begins with.
#[expect(clippy::disallowed_methods, reason = "this is the module that writes")]
pub fn set_prefix(row: &ProgressBar, text: impl Display) {
    row.set_prefix(Line::new(text).to_string());
}
