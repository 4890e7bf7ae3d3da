//! What the process tells its caller.

use std::process::ExitCode;

use bringup_core::run::event::Tally;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// Done, or nothing to do.
    Done,
    /// A target failed, or something was not done for want of approval.
    Failed,
    /// Wrong usage, or a site with errors.
    Usage,
    /// `plan --exit-code` found changes.
    Changes,
    /// Acted, and it does not hold.
    NotConverged,
    /// The operator stopped it.
    Interrupted,
}

impl ExitStatus {
    /// How a pass that acted ended.
    pub fn of_apply(tally: Tally, interrupted: bool) -> Self {
        if interrupted {
            Self::Interrupted
        } else if tally.not_converged > 0 {
            Self::NotConverged
        } else if tally.failed + tally.blocked + tally.skipped > 0 {
            Self::Failed
        } else {
            Self::Done
        }
    }

    /// How a plan ended.
    pub fn of_plan(tally: Tally, interrupted: bool, exit_code: bool) -> Self {
        if interrupted {
            Self::Interrupted
        } else if tally.failed > 0 {
            Self::Failed
        } else if exit_code && tally.changed + tally.later + tally.blocked > 0 {
            Self::Changes
        } else {
            Self::Done
        }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Done => 0,
            ExitStatus::Failed => 1,
            ExitStatus::Usage => 2,
            ExitStatus::Changes => 3,
            ExitStatus::NotConverged => 4,
            ExitStatus::Interrupted => 130,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_an_apply() {
        let tally = |changed, blocked, not_converged, failed| Tally {
            changed,
            blocked,
            not_converged,
            failed,
            ..Tally::default()
        };
        for (tally, interrupted, status) in [
            (tally(0, 0, 0, 0), false, ExitStatus::Done),
            (tally(3, 0, 0, 0), false, ExitStatus::Done),
            (tally(3, 1, 0, 0), false, ExitStatus::Failed),
            (tally(3, 0, 0, 1), false, ExitStatus::Failed),
            (tally(3, 0, 1, 1), false, ExitStatus::NotConverged),
            (tally(3, 0, 0, 0), true, ExitStatus::Interrupted),
        ] {
            assert_eq!(ExitStatus::of_apply(tally, interrupted), status, "{tally:?}");
        }
    }

    #[test]
    fn statuses_of_a_plan() {
        let tally = |changed, failed| Tally { changed, failed, ..Tally::default() };
        for (tally, exit_code, status) in [
            (tally(2, 0), false, ExitStatus::Done),
            (tally(2, 0), true, ExitStatus::Changes),
            (tally(0, 0), true, ExitStatus::Done),
            (tally(2, 1), true, ExitStatus::Failed),
        ] {
            assert_eq!(ExitStatus::of_plan(tally, false, exit_code), status, "{tally:?}");
        }
    }
}
