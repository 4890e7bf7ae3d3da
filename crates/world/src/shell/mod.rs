//! Questions and actions as POSIX shell, and answers out of what it prints.
//!
//! What is longer than a line is a file of `scripts/`; its values are assigned in front by [`piece::Piece`], which quotes them.
//! In one line nothing from a site or a target reaches shell but through [`quote::word`]. sudo has its own few lines in `ssh`.

/// A file of `scripts/`, as it goes into a script: without its first line, which is for shellcheck, and without the newline at
/// its end.
macro_rules! script {
    ($file:literal) => {
        $crate::shell::body(include_str!(concat!("scripts/", $file)))
    };
}

mod answers;
pub(crate) mod bmc;
pub(crate) mod bmc_seed;
mod effects;
#[cfg(any(test, fuzzing))]
mod every_question;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod jobs;
pub(crate) mod k3s;
mod piece;
mod questions;
mod quote;
#[cfg(test)]
mod recorded;
mod script;
pub(crate) mod upload;

pub(crate) use self::answers::{Odd, answer, file};
pub(crate) use self::effects::{Acting, acting};
pub(crate) use self::questions::{ADMIN_KUBECONFIG, Asking, asking};
pub(crate) use self::quote::word;
pub(crate) use self::script::{Script, Section};

/// A file that begins with another line, or does not end with a newline, would lose a command or a letter: it does not compile.
const fn body(text: &'static str) -> &'static str {
    let bytes = text.as_bytes();
    assert!(bytes[0] == b'#' && bytes[bytes.len() - 1] == b'\n');
    let mut first = 0;
    while bytes[first] != b'\n' {
        first += 1;
    }
    let (_, body) = text.split_at(first + 1);
    body.split_at(body.len() - 1).0
}
