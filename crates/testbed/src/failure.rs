//! What went wrong: what was tried, what came back, and what to do.

use std::fmt::{self, Display};

/// An error of the testbed.
#[derive(Debug)]
pub struct Failure {
    tried: String,
    came_back: String,
    help: Option<String>,
}

impl Failure {
    /// `tried` follows "cannot", `came_back` is what the system said.
    pub fn new(tried: impl Into<String>, came_back: impl Display) -> Self {
        Self { tried: tried.into(), came_back: came_back.to_string().trim().to_owned(), help: None }
    }

    /// What to do about it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.tried, self.came_back)?;
        match &self.help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Tells a failed call what it was for.
pub trait Tried<T> {
    /// `tried` follows "cannot".
    fn tried(self, tried: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Display> Tried<T> for Result<T, E> {
    fn tried(self, tried: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(tried(), error))
    }
}
