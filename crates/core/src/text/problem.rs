//! What is wrong with a site, and where.

use std::fmt;

/// How bad a problem is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// The site can be used; the operator may have meant something else.
    Warning,
    /// The site cannot be used.
    Error,
}

/// Where in a site's text something stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Spot {
    /// The file, as the operator named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// The line's text; of a very long line the part around the column.
    pub text: String,
    /// How many characters of the line stand before `text`.
    pub skipped: usize,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// What.
    pub message: String,
    /// Where; `None` for what stands in no file, such as a flag.
    pub spot: Option<Spot>,
    /// What would be right: the nearest word, the form that is wanted.
    pub help: Option<String>,
}

/// All that is wrong, in the order of the files and lines.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether any of it keeps the site from being used.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            if let Some(spot) = &problem.spot {
                write!(f, "{}:{}:{}: ", spot.file, spot.line, spot.column)?;
            }
            writeln!(f, "{}", problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
