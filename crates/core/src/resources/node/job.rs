//! Detached work on a node: looked for before it is started, watched until it ends.

use std::time::Duration;

use crate::contract::node::{BootId, JobState, StartJob};
use crate::contract::{Contract, Job, JobPhase, JobStatus};
use crate::engine::resource::Applied;
use crate::engine::{Act, Wait};
use crate::ids::NodeName;
use crate::run::event::Awaited;
use crate::run::fault::{Cause, Fault};
use crate::sabotage::Guard;

/// How often a running job is looked at.
const EVERY: Duration = Duration::from_secs(5);

/// Sees a job through: one that runs already with the same order in the same boot is taken over.
pub(in crate::resources) async fn see_through(
    act: &Act<'_>,
    node: &NodeName,
    job: Job,
    bound: Duration,
) -> Result<Applied, Fault> {
    let name = job.name();
    let hash = job.hash();
    let running = running(act, node, name).await?;
    let applied = match running {
        Some(status) if status.hash == hash && act.guards().hold(Guard::Takeover) => Applied::TookOver,
        Some(status) if status.hash != hash => {
            return Err(Fault::new(Cause::Busy, node.target(), job.to_string())
                .said(format!("another {name} runs there"))
                .next("wait until it has ended, then run again"));
        }
        _ => {
            act.act(node, StartJob { job: job.clone() }).await?;
            Applied::Changed
        }
    };
    watch(act, node, &job, bound).await?;
    Ok(applied)
}

/// Waits until a job that runs has succeeded. Starts nothing.
pub(in crate::resources) async fn watch(
    act: &Act<'_>,
    node: &NodeName,
    job: &Job,
    bound: Duration,
) -> Result<(), Fault> {
    let (name, hash) = (job.name(), job.hash());
    let wait = Wait { of: node, awaited: Awaited::Job { job: job.clone() }, bound, every: EVERY };
    let ended = act.wait_until(wait, JobState { name }, |status| match status {
        Some(status) if status.phase == JobPhase::Running => None,
        ended => Some(ended),
    });
    match ended.await? {
        Some(JobStatus { phase: JobPhase::Succeeded, hash: ended_hash, .. }) if ended_hash == hash => Ok(()),
        Some(status) => Err(Fault::new(Cause::Passing, node.target(), job.to_string()).said(status.said.join("\n"))),
        None => Err(Fault::new(Cause::Passing, node.target(), job.to_string())
            .said("the job is gone without a trace")
            .likely("the node went down meanwhile")),
    }
}

/// The job of that name that runs in this boot, if one does.
async fn running(act: &Act<'_>, node: &NodeName, name: &'static str) -> Result<Option<JobStatus>, Fault> {
    let status = act.look().ask(node, JobState { name }).await?;
    let Some(status) = status.filter(|status| status.phase == JobPhase::Running) else { return Ok(None) };
    let boot_id = act.look().ask(node, BootId {}).await?;
    Ok((status.boot_id == boot_id).then_some(status))
}

#[cfg(test)]
mod tests;
