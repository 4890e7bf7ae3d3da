//! Lets the swarm take one guard out, to see that it notices. In the product all guards hold.

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
    #[cfg(feature = "sabotage")]
    removed: Option<Guard>,
}

impl Guards {
    /// All but one.
    #[cfg(feature = "sabotage")]
    pub fn without(guard: Guard) -> Self {
        Self { removed: Some(guard) }
    }

    /// Whether a guard holds.
    pub fn hold(&self, guard: Guard) -> bool {
        #[cfg(feature = "sabotage")]
        return self.removed != Some(guard);
        #[cfg(not(feature = "sabotage"))]
        {
            let _ = guard;
            true
        }
    }
}
