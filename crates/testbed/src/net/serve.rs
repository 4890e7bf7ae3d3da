//! The process that gives a testbed's hosts addresses, names and packages.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{dns, dnsmasq, http};
use crate::detached;
use crate::failure::{Failure, Tried};
use crate::places::{self, Lock};
use crate::process::Process;
use crate::records::{Thing, write_whole};
use crate::testbed::{REPOSITORY_PORT, Testbed};
use crate::{images, k3s_release, services, wait};

/// Its role in the records.
pub const ROLE: &str = "serve";

const BOUND: Duration = Duration::from_secs(15);

/// Starts it unless it runs, and waits until names are answered with the settings that were told last.
pub fn provide(testbed: &Testbed) -> Result<(), Failure> {
    if testbed.records().process(ROLE)?.is_none() {
        let log = testbed.directory().join("logs/serve.log");
        detached::start(testbed, ROLE, &["serve"], &log, false)?;
    }
    let (settings, running) = (dnsmasq::settings_path(testbed), dnsmasq::running_path(testbed));
    let gateway = testbed.gateway();
    wait::until_true(
        BOUND,
        &format!("dnsmasq on {gateway}, whose log is in {}/logs", testbed.directory().display()),
        || {
            let same = fs::read(&settings).ok() == fs::read(&running).ok();
            same && dns::ask(gateway, &format!("testbed.{}", dnsmasq::DOMAIN)) == Some(gateway)
        },
    )
}

/// What it does, until it is killed.
pub fn run(testbed: &Testbed) -> Result<(), Failure> {
    let me = Process::me().ok_or_else(|| Failure::new("find myself in /proc", "it is not mounted"))?;
    testbed.record_process(&Thing::Process { role: ROLE.to_owned(), process: me })?;
    let _lock = places::lock(&testbed.directory(), ROLE, Lock::Alone, Duration::from_secs(5))?;
    let address = (testbed.gateway(), REPOSITORY_PORT);
    let listener = TcpListener::bind(address)
        .map_err(|error| Failure::new(format!("listen on {}:{}", address.0, address.1), error))?;
    let mut shelves = vec![(String::new(), testbed.base_directory().join("repository"))];
    if !testbed.images.is_empty() {
        shelves.insert(0, ("/images/".to_owned(), images::directory(testbed)));
    }
    if testbed.kubernetes {
        shelves.insert(0, k3s_release::shelf()?);
        shelves.insert(0, services::shelf()?);
        services::serve(testbed)?;
    }
    thread::spawn(move || http::serve(&listener, shelves));
    keep_dnsmasq(testbed)
}

/// Started anew when its settings change, and a second after it ended by itself.
fn keep_dnsmasq(testbed: &Testbed) -> Result<(), Failure> {
    let (settings, running) = (dnsmasq::settings_path(testbed), dnsmasq::running_path(testbed));
    loop {
        let told = fs::read(&settings).tried(|| format!("read {}", settings.display()))?;
        let mut child = start(testbed)?;
        write_whole(&running, &told)?;
        let begun = Instant::now();
        loop {
            let ended = child.try_wait().tried(|| "watch dnsmasq".to_owned())?;
            if let Some(status) = ended {
                eprintln!("dnsmasq ended after {:?}: {status}", begun.elapsed());
                thread::sleep(Duration::from_secs(1));
                break;
            }
            if fs::read(&settings).is_ok_and(|now| now != told) {
                child.kill().and_then(|()| child.wait()).tried(|| "end dnsmasq".to_owned())?;
                break;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn start(testbed: &Testbed) -> Result<Child, Failure> {
    let log = testbed.directory().join("logs/dnsmasq-start.log");
    let log = File::create(&log).tried(|| format!("write {}", log.display()))?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "dnsmasq", "--keep-in-foreground"])
        .arg(format!("--conf-file={}", dnsmasq::settings_path(testbed).display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .tried(|| "start dnsmasq".to_owned())
}
