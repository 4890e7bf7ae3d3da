//! The transfer of an image to a module, watched to its end.

use std::time::Duration;

use tokio::time::Instant;

use crate::contract::bmc::{FlashJob, PowerOff, RestartBmcDaemon};
use crate::contract::world::Unit;
use crate::contract::{Contract, FlashJobState, FlashMarkState, JobPhase};
use crate::engine::Act;
use crate::resources::bmc::flash_failure;
use crate::resources::bmc::provisioned_slot::ProvisionedSlot;
use crate::run::fault::{Cause, Fault};

/// The least that a flash may take, whatever its size: the time that the playbook gives it.
const FLASH_BOUND: Duration = Duration::from_secs(600);
/// Bytes a second below which a module's storage is broken rather than slow (a CM4 writes 5 MB a second).
const SLOWEST: u64 = 1_500_000;
/// How long a transfer may stand still.
const STALL_BOUND: Duration = Duration::from_secs(120);
/// How long a module is left without power before it is tried again.
const USB_REST: Duration = Duration::from_secs(15);
/// How often the transfer is looked at.
const EVERY: Duration = Duration::from_secs(5);

impl ProvisionedSlot {
    /// Watches the transfer to its end.
    pub(super) async fn watch(&self, act: &Act<'_>, mark: &FlashMarkState) -> Result<(), Fault> {
        let bmc = &self.slot.board;
        let doing = || format!("flash slot {} ({})", self.slot.slot, self.slot.node);
        let (began, mut moved, mut last) = (Instant::now(), Instant::now(), 0);
        loop {
            let job = match act.look().ask(bmc, FlashJob {}).await {
                Ok(job) => job.filter(|job| self.slot.is_of(job, mark)),
                Err(fault) if fault.cause.is_passing() => {
                    self.rest(act, began, FLASH_BOUND * 3).await?;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let Some(job) = job else {
                let fault = Fault::new(Cause::Passing, bmc.target(), doing())
                    .said("the BMC knows of no transfer to this slot any more")
                    .likely("its daemon was restarted");
                return Err(self.switched_off(act, fault).await);
            };
            match job.phase {
                JobPhase::Succeeded => return Ok(()),
                JobPhase::Failed => {
                    let fault = self.switched_off(act, self.not_written(&job)).await;
                    if fault.cause.is_passing() {
                        act.pause(USB_REST).await?;
                    }
                    return Err(fault);
                }
                JobPhase::Running => {}
            }
            // Where nobody can tell how far it is, the bound of the whole has to do.
            if let Some(done) = job.done {
                act.progress(done, job.total, Unit::Bytes);
            }
            if job.done.is_none_or(|done| done != last) {
                (last, moved) = (job.done.unwrap_or_default(), Instant::now());
            }
            if moved.elapsed() > STALL_BOUND {
                let stalled = format!("no byte was written for {} s", STALL_BOUND.as_secs());
                let fault = match act.act(bmc, RestartBmcDaemon { slot: self.slot.slot }).await {
                    Ok(_) => Fault::new(Cause::Passing, bmc.target(), doing())
                        .said(stalled)
                        .likely("the transfer's worker in the BMC died"),
                    // Where other nodes have power, that is for the operator to do.
                    Err(refused) => refused.said(&stalled),
                };
                return Err(self.switched_off(act, fault).await);
            }
            // Written once and read back once, at the slowest.
            let bound = FLASH_BOUND.max(Duration::from_secs(2 * job.total / SLOWEST));
            self.rest(act, began, bound).await?;
        }
    }

    /// What is left of a transfer that did not end well may have power, and would look like a node that may live. Where it
    /// cannot be switched off, why it did not end well is still the fault.
    async fn switched_off(&self, act: &Act<'_>, mut fault: Fault) -> Fault {
        match act.act(&self.slot.board, PowerOff { slot: self.slot.slot }).await {
            Ok(_) => match fault.likely.clone() {
                Some(likely) => fault.likely(format!("{likely}; the slot is off")),
                None => fault,
            },
            Err(off) if off.cause == Cause::Interrupted => off,
            Err(off) => {
                // What the transfer said stands last: that is what one line of the fault shows.
                let said = std::mem::take(&mut fault.said);
                fault.said(format!("the slot may still have power: {off}")).said(said.join("\n"))
            }
        }
    }

    /// A transfer that failed, and what to do about it.
    fn not_written(&self, job: &FlashJobState) -> Fault {
        let (cause, likely, next) = flash_failure::explained(job.failure);
        let doing = format!("flash slot {} ({})", self.slot.slot, self.slot.node);
        Fault::new(cause, self.slot.board.target(), doing).said(job.said.join("\n")).likely(likely).next(next)
    }

    async fn rest(&self, act: &Act<'_>, began: Instant, bound: Duration) -> Result<(), Fault> {
        if began.elapsed() > bound {
            let doing = format!("flash slot {} ({})", self.slot.slot, self.slot.node);
            return Err(Fault::new(Cause::TimedOut, self.slot.board.target(), doing)
                .said(format!("not done after {} s", bound.as_secs()))
                .next("look at the board; the next run takes the transfer over if it still runs"));
        }
        act.pause(EVERY).await
    }
}
