//! What k3s is waited for with: its journal tells when waiting is in vain.

use std::time::Duration;

use crate::contract::K3sRole;
use crate::contract::node::K3sTrouble;
use crate::engine::Act;
use crate::ids::NodeName;
use crate::run::fault::Fault;
use crate::text::k3s_journal::{Said, StartFailure};

/// How long k3s may take to start, or its Node to be Ready.
const READY_BOUND: Duration = Duration::from_secs(600);
/// After how long its journal is asked whether there is anything to wait for: k3s tries again within 10 s, and a wrong
/// token is in its journal 15 s after its start.
const FIRST_BOUND: Duration = Duration::from_secs(20);
/// After how long a refused password counts as well: what refuses it was deleted a moment ago, and the journal is still
/// that of the same start.
const SECOND_BOUND: Duration = Duration::from_secs(60);
/// After how long even a silent control plane is none to wait for any more: the API answers the controller.
const THIRD_BOUND: Duration = Duration::from_secs(180);

/// A look into the journal.
struct LookAt {
    /// How long after the start was ordered.
    at: Duration,
    /// Which cause is enough to end the wait then.
    is_enough: fn(StartFailure) -> bool,
}

const LOOKS: [LookAt; 4] = [
    LookAt { at: FIRST_BOUND, is_enough: |trouble| trouble.lasts() && trouble != StartFailure::RefusedPassword },
    LookAt { at: SECOND_BOUND, is_enough: StartFailure::lasts },
    LookAt { at: THIRD_BOUND, is_enough: |_| true },
    LookAt { at: READY_BOUND, is_enough: |_| true },
];

/// A wait for the k3s of a node whose start was ordered.
pub(in crate::resources) struct K3sWatch<'a> {
    node: &'a NodeName,
    role: K3sRole,
    waited: Duration,
    looks: usize,
}

impl<'a> K3sWatch<'a> {
    /// One that begins now.
    pub fn begin(node: &'a NodeName, role: K3sRole) -> Self {
        Self { node, role, waited: Duration::ZERO, looks: 0 }
    }

    /// How long to wait until the next look into the journal.
    pub fn bound(&self) -> Duration {
        LOOKS.get(self.looks).map_or(Duration::ZERO, |look| look.at.saturating_sub(self.waited))
    }

    /// Looks into the journal after the wait has timed out with this fault. Returns it, with the cause, where it is in vain
    /// to wait on.
    pub async fn look(&mut self, timed_out: Fault, act: &Act<'_>) -> Result<(), Fault> {
        let said = act.look().ask(self.node, K3sTrouble {}).await.ok().flatten();
        let trouble = said.as_ref().and_then(|said| said.trouble);
        let Some(look) = LOOKS.get(self.looks) else { return Err(self.explained(timed_out, said)) };
        (self.waited, self.looks) = (look.at, self.looks + 1);
        if trouble.is_some_and(look.is_enough) || self.looks == LOOKS.len() {
            return Err(self.explained(timed_out, said));
        }
        Ok(())
    }

    fn explained(&self, fault: Fault, said: Option<Said>) -> Fault {
        let trouble = said.as_ref().and_then(|said| said.trouble);
        let fault = fault.said(said.map_or_else(|| "its journal shows no error".to_owned(), |said| said.message));
        match trouble {
            Some(trouble) => fault.likely(trouble.likely()).next(trouble.next(self.node.as_str())),
            None => fault.next(format!("journalctl -u {} on {} tells more", self.role.unit(), self.node)),
        }
    }
}
