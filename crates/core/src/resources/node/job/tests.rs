use super::*;
use crate::contract::node::{GpuDriver, Packages};
use crate::resources::scripted::{Fact, Script, check, node01};
use crate::resources::{GpuDriverInstalled, InstalledPackages};

fn status(job: &Job, boot: &str, phase: JobPhase) -> JobStatus {
    JobStatus {
        hash: job.hash(),
        boot_id: boot.to_owned(),
        phase,
        ended_ago: Some(1),
        said: vec!["its last line".to_owned()],
    }
}

/// What has become of the job that installs the driver.
fn was(status: Option<JobStatus>) -> Fact {
    says!(node01(), JobState { name: Job::InstallGpuDriver.name() } => status)
}

#[test]
fn a_job_is_taken_over_or_started_once() {
    use JobPhase::{Failed, Running, Succeeded};
    const START: &str = "node01: install the GPU driver";
    const WAIT: &str = "wait for the job install-gpu-driver";
    let job = Job::InstallGpuDriver;
    let is = |phase| Some(status(&job, "now", phase));
    let other = |phase| Some(JobStatus { hash: "other".to_owned(), ..status(&job, "now", phase) });
    let driver = |version: Option<&str>| says!(node01(), GpuDriver {} => version.map(str::to_owned));
    let installed = || vec![was(is(Succeeded)), driver(Some("570"))];
    let plan = ["GPU driver: + as ubuntu-drivers chooses"];
    let started = [START, WAIT, "changed"];
    for (what, before, after, run) in [
        ("never run", was(None), installed(), &started[..]),
        ("done before", was(is(Succeeded)), installed(), &started),
        ("failed before", was(is(Failed)), installed(), &started),
        // A node that went down over it left the status behind.
        ("running before the boot", was(Some(status(&job, "before", Running))), installed(), &started),
        (
            "another one is running",
            was(other(Running)),
            vec![],
            &["again after: install the GPU driver on node01: busy (another install-gpu-driver runs there)"],
        ),
        (
            "it fails",
            was(None),
            vec![was(is(Failed))],
            &[START, WAIT, "again after: install the GPU driver on node01: failed this time (its last line)"],
        ),
        (
            "another one ended in its place",
            was(None),
            vec![was(other(Succeeded))],
            &[START, WAIT, "again after: install the GPU driver on node01: failed this time (its last line)"],
        ),
        (
            "it is gone",
            was(None),
            vec![was(None)],
            &[
                START,
                WAIT,
                "again after: install the GPU driver on node01: failed this time (the job is gone without a trace)",
            ],
        ),
        (
            "it ends, and nothing is there",
            was(None),
            vec![was(is(Succeeded))],
            &[START, WAIT, "did not converge: GPU driver: + as ubuntu-drivers chooses"],
        ),
    ] {
        let facts = [driver(None), before, says!(node01(), BootId {} => "now".to_owned())];
        let script = Script::new(facts).once("install the GPU driver", after);
        check(what, GpuDriverInstalled { node: node01() }, script, &plan, run);
    }
}

/// What an earlier run began is not begun a second time beside it.
#[test]
fn a_running_job_is_watched_to_its_end() {
    use JobPhase::{Failed, Running, Succeeded};
    let job = Job::InstallPackages { names: ["b".to_owned()].into() };
    let names: std::collections::BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
    let is = |phase| Some(status(&job, "now", phase));
    let name = job.name();
    let wait = "wait for the job install-packages";
    for (what, job, packages, plan, run) in [
        (
            "it ends well",
            says!(node01(), JobState { name } => is(Running), is(Running), is(Succeeded)),
            says!(node01(), Packages { names: names.clone() } => ["a".to_owned()].into(), names.clone()),
            &["b: + installed"][..],
            &[wait, "took over"][..],
        ),
        (
            "it fails",
            says!(node01(), JobState { name } => is(Running), is(Failed)),
            says!(node01(), Packages { names: names.clone() } => ["a".to_owned()].into()),
            &["b: + installed"],
            &[wait, "again after: install b on node01: failed this time (its last line)"],
        ),
        (
            "all are there",
            says!(node01(), JobState { name } => is(Running)),
            says!(node01(), Packages { names: names.clone() } => names.clone()),
            &["in sync"],
            &["in sync"],
        ),
        // What it installs is not what is missing.
        (
            "another one",
            says!(node01(), JobState { name } => is(Running)),
            says!(node01(), Packages { names: names.clone() } => ["b".to_owned()].into()),
            &["a: + installed"],
            &["again after: install a on node01: busy (another install-packages runs there)"],
        ),
    ] {
        let script = Script::new([job, packages, says!(node01(), BootId {} => "now".to_owned())]);
        let resource = InstalledPackages { node: node01(), purpose: "packages", names: names.clone() };
        check(what, resource, script, plan, run);
    }
}
