//! Seeded faults: what goes wrong, how often. Every draw comes from one seeded source, in the order of the calls.

use bringup_core::contract::ActionOutline;

/// How often things go wrong, in thousandths.
#[derive(Clone, Debug)]
pub struct Faults {
    random: fastrand::Rng,
    /// Actions that are lost once, each.
    lost_once: Vec<(ActionOutline, Lost)>,
    /// Connections lost before, during or after.
    pub lost: u32,
    /// Flashes that fail on USB or on a bad read.
    pub flash: u32,
    /// Transfers that stand still for ever.
    pub stall: u32,
    /// Reboots that are accepted and never happen.
    pub reboot: u32,
    /// First boots that hang until the slot's power is cut.
    pub boot: u32,
    /// Jobs that fail.
    pub job: u32,
    /// Drains that a disruption budget holds up.
    pub drain: u32,
    /// Lines that someone else adds to known_hosts just while we write it.
    pub foreign_line: u32,
}

/// When a connection is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// Before anything happened.
    Before,
    /// After it happened, before the answer came.
    After,
}

impl Faults {
    /// No faults at all.
    pub fn none() -> Self {
        Self::with_rates(0, 0)
    }

    /// Many, from this seed.
    pub fn seeded(seed: u64) -> Self {
        Self::with_rates(seed, 1)
    }

    fn with_rates(seed: u64, times: u32) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            lost_once: Vec::new(),
            lost: 12 * times,
            flash: 120 * times,
            stall: 50 * times,
            reboot: 120 * times,
            boot: 90 * times,
            job: 50 * times,
            drain: 60 * times,
            foreign_line: 250 * times,
        }
    }

    /// Loses the first action of this outline.
    #[must_use]
    pub fn losing(mut self, action: impl Into<ActionOutline>, when: Lost) -> Self {
        self.lost_once.push((action.into(), when));
        self
    }

    /// Whether and when this action is lost.
    pub(crate) fn lose_action(&mut self, action: &ActionOutline) -> Option<Lost> {
        match self.lost_once.iter().position(|(lost, _)| lost == action) {
            Some(at) => Some(self.lost_once.remove(at).1),
            None => self.lose(),
        }
    }

    /// Whether something that happens so often happens now.
    pub(crate) fn strike(&mut self, thousandths: u32) -> bool {
        thousandths > 0 && self.random.u32(0..1000) < thousandths
    }

    /// Whether and when this connection is lost.
    pub(crate) fn lose(&mut self) -> Option<Lost> {
        self.strike(self.lost).then(|| if self.random.bool() { Lost::Before } else { Lost::After })
    }
}
