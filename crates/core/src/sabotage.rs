//! Lets the swarm take one guard out, to see that it notices.
//!
//! Only builds with debug assertions have the way to do it: a release has no code that takes a guard out. A feature of
//! cargo's would do as well, and would have everything above this crate compiled twice for the tests.

/// A guard whose absence the swarm must notice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Guard {
    /// A living or doubtful node is not flashed.
    LifeCheck,
    /// One flash a board at a time.
    UsbSpan,
    /// Nothing hazardous that was not approved.
    Consent,
    /// One writer of known_hosts, which notices when others write.
    KnownHostsWriter,
    /// A reboot is proved by a changed boot id.
    BootIdProof,
    /// A running job is taken over, not started twice.
    Takeover,
    /// One cluster node in maintenance at a time.
    MaintenanceGate,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::LifeCheck,
        Self::UsbSpan,
        Self::Consent,
        Self::KnownHostsWriter,
        Self::BootIdProof,
        Self::Takeover,
        Self::MaintenanceGate,
    ];
}

/// Which guards hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Guards {
    #[cfg(debug_assertions)]
    removed: Option<Guard>,
}

impl Guards {
    /// All but one.
    #[cfg(debug_assertions)]
    pub fn without(guard: Guard) -> Self {
        Self { removed: Some(guard) }
    }

    /// Whether a guard holds.
    pub fn hold(&self, guard: Guard) -> bool {
        #[cfg(debug_assertions)]
        return self.removed != Some(guard);
        #[cfg(not(debug_assertions))]
        {
            let _ = guard;
            true
        }
    }
}
