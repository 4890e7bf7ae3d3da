//! Debian's `docker-registry`, an OCI registry: one for each testbed, without TLS, on the bridge's address.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::REGISTRY_PORT;
use crate::failure::{Failure, Tried};
use crate::places::{self, Lock};
use crate::records::write_whole;
use crate::testbed::Testbed;
use crate::{base, wait};

/// Sees to it that the program is in the cache; where it is. The package is not installed on this machine, as its
/// own script would start a registry.
pub fn program() -> Result<PathBuf, Failure> {
    let cache = places::cache();
    let suite = base::suite();
    let directory = cache.join(format!("docker-registry-{suite}"));
    let program = directory.join("usr/bin/docker-registry");
    if program.exists() {
        return Ok(program);
    }
    let _lock = places::lock(&cache, "docker-registry", Lock::Alone, base::BOUND)?;
    if program.exists() {
        return Ok(program);
    }
    eprintln!("fetching Debian's docker-registry (half a minute, once)");
    let unfinished = cache.join(".unfinished-docker-registry");
    let _ = fs::remove_dir_all(&unfinished);
    base::extract(&suite, "docker-registry", &["/usr/share/*"], &unfinished)?;
    fs::rename(&unfinished, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    Ok(program)
}

fn settings_path(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("registry.yml")
}

/// Writes its settings down.
pub fn tell(testbed: &Testbed) -> Result<(), Failure> {
    let directory = testbed.directory();
    let text = format!(
        "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
         rootdirectory: {}/registry\nhttp:\n  addr: {}:{REGISTRY_PORT}\n",
        directory.display(),
        testbed.gateway(),
    );
    write_whole(&settings_path(testbed), text.as_bytes())
}

/// Keeps it running, for ever: started anew a second after it ended.
pub fn keep(program: &Path, testbed: &Testbed) {
    loop {
        let begun = Instant::now();
        let ended =
            start(program, testbed).and_then(|mut child| child.wait().tried(|| "watch the registry".to_owned()));
        match ended {
            Ok(status) => eprintln!("the registry ended after {:?}: {status}", begun.elapsed()),
            Err(failure) => eprintln!("{failure}"),
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn start(program: &Path, testbed: &Testbed) -> Result<Child, Failure> {
    let log = testbed.directory().join("logs/registry.log");
    let log = File::create(&log).tried(|| format!("write {}", log.display()))?;
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(program)
        .arg("serve")
        .arg(settings_path(testbed))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .tried(|| "start the registry".to_owned())
}

/// Waits until it answers.
pub fn wait(testbed: &Testbed) -> Result<(), Failure> {
    let address = (testbed.gateway(), REGISTRY_PORT);
    let log = testbed.directory().join("logs/registry.log");
    wait::until_true(
        Duration::from_secs(15),
        &format!("the registry on {}:{}, whose log is {}", address.0, address.1, log.display()),
        || answers(address).unwrap_or(false),
    )
}

fn answers(address: impl std::net::ToSocketAddrs) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /v2/ HTTP/1.0\r\n\r\n")?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said.starts_with("HTTP/1.0 200"))
}
