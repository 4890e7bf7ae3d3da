//! An error as the operator needs it: what was tried, where, what came back, what it may be and what to do next.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::Target;
use crate::text::secret::Mask;

/// What kind of thing went wrong: the only part of a fault that code decides by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The question never reached the target: this machine has no network, no resolver or no file descriptors left, or
    /// a jump host does not answer. It says nothing about the target.
    Unasked,
    /// Nothing answered at the address.
    Unreachable,
    /// The name did not resolve.
    Unresolved,
    /// Something answered and said no: permission, a changed host key.
    Refused,
    /// A host of known identity lets nobody in with what we have. One that boots does that too: its accounts are not
    /// made yet, or pam_nologin(8) holds them off until it is up.
    Denied,
    /// What was asked or told gave no answer within its bound.
    Silent,
    /// The bound of a wait was reached. It had all the time that it is given: the same wait is not begun again.
    TimedOut,
    /// The connection went away while the effect was under way: it may or may not have happened.
    Lost,
    /// The effect was tried and failed.
    Failed,
    /// Bytes, a key or a boot id are not those that were expected.
    Mismatch,
    /// What the effect was based on has changed since it was looked at: look again.
    Stale,
    /// Someone else is doing this or holds the lock.
    Busy,
    /// The operator asked to stop.
    Interrupted,
    /// It failed in a way that is known to pass: a module not seen on USB, a bad read.
    Passing,
    /// Nobody can know it before an earlier step has run; only in a plan.
    NotYet,
    /// It would do more than the operator's approval or the cluster's own rules allow.
    NotAllowed,
}

impl Cause {
    /// Whether trying the same again, a little later, may well succeed.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::Unasked
                | Self::Unreachable
                | Self::Unresolved
                | Self::Silent
                | Self::Lost
                | Self::Stale
                | Self::Busy
                | Self::Passing
        )
    }
}

/// An error with what was being done, where, the last output, the likely cause and the next step.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// What was being done, as a phrase: "flash slot 2".
    pub doing: String,
    /// Where.
    pub at: Target,
    /// What kind of failure.
    pub cause: Cause,
    /// The last lines that came back, oldest first; never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// What it most likely is, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub likely: Option<String>,
    /// What the operator can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Fault {
    /// A fault of `cause` while `doing` something `at` a target.
    pub fn new(cause: Cause, at: Target, doing: impl Into<String>) -> Self {
        Self { doing: doing.into(), at, cause, said: Vec::new(), likely: None, next: None }
    }

    /// Adds what came back.
    #[must_use]
    pub fn said(mut self, text: impl AsRef<str>) -> Self {
        self.said.extend(text.as_ref().lines().map(str::to_owned));
        self
    }

    /// Hides secrets in it: what came back may repeat what was sent.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        for text in self.said.iter_mut().chain(&mut self.likely).chain(&mut self.next) {
            *text = mask.hide_in(text);
        }
        self
    }

    /// Adds the likely cause. That of an interrupt is known: whoever adds to it afterwards guesses.
    #[must_use]
    pub fn likely(mut self, text: impl Into<String>) -> Self {
        if self.cause != Cause::Interrupted || self.likely.is_none() {
            self.likely = Some(text.into());
        }
        self
    }

    /// Adds what to do next; for an interrupt, the first that is said stands.
    #[must_use]
    pub fn next(mut self, text: impl Into<String>) -> Self {
        if self.cause != Cause::Interrupted || self.next.is_none() {
            self.next = Some(text.into());
        }
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unasked => "could not be asked",
            Self::Unreachable => "no answer",
            Self::Unresolved => "the name does not resolve",
            Self::Refused => "refused",
            Self::Denied => "not let in",
            Self::Silent => "no answer in time",
            Self::TimedOut => "took too long",
            Self::Lost => "the connection was lost",
            Self::Failed => "failed",
            Self::Mismatch => "not what was expected",
            Self::Stale => "changed meanwhile",
            Self::Busy => "busy",
            Self::Interrupted => "interrupted",
            Self::Passing => "failed this time",
            Self::NotYet => "known only later",
            Self::NotAllowed => "not allowed",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.doing, self.at, self.cause)?;
        if let Some(last) = self.said.last() {
            write!(f, " ({last})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::secret::Secret;

    #[test]
    fn what_was_sent_is_hidden_in_what_came_back() {
        let secrets = ["open", "open sesame", "", "pi"].map(Secret::new);
        let mask = secrets.iter().collect();
        let fault = Fault::new(Cause::Failed, Target::Controller, "log in")
            .said("sudo: open sesame: command not found\nopen sesame")
            .likely("a prompt that echoes open sesame")
            .said("pi@turingpi: pi, pipi, 'pi'")
            .masked(&mask);
        assert!(!format!("{fault:?}").contains("sesame"), "{fault:?}");
        let turing = "(secret)@turingpi: (secret), pipi, '(secret)'";
        assert_eq!(fault.said, ["sudo: (secret): command not found", "(secret)", turing]);
        assert_eq!(fault.doing, "log in");
    }
}
