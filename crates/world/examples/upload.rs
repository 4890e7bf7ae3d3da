//! Brings a file to a host, for `bench/hosts` to hold against scp.
#![allow(clippy::print_stdout, reason = "a program of its own")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bringup_core::ids::Sha256;
use bringup_core::text::known_hosts::KnownHosts;
use bringup_world::ssh::{Logins, Route, Session, Upload};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [host, user, key, known_hosts, from, to] = words.as_slice() else {
        eprintln!("usage: upload HOST USER KEY KNOWN_HOSTS FILE THERE");
        return ExitCode::from(2);
    };
    match upload(host, user, key, known_hosts, from, to).await {
        Ok(seconds) => {
            println!("{seconds:.3}");
            ExitCode::SUCCESS
        }
        Err(words) => {
            eprintln!("upload: {words}");
            ExitCode::FAILURE
        }
    }
}

/// How long it took from the first packet on, in seconds: the sum of a file is known before it is brought anywhere.
async fn upload(
    host: &str,
    user: &str,
    key: &str,
    known_hosts: &str,
    from: &str,
    to: &str,
) -> Result<f64, Box<dyn std::error::Error>> {
    let known = KnownHosts::parse(&std::fs::read_to_string(known_hosts)?);
    let sha256 = Sha256::of(std::fs::read(from)?);
    let route = Route {
        host: host.to_owned(),
        port: 22,
        user: user.to_owned(),
        names: vec![host.to_owned()],
        known_hosts: Vec::new(),
        key_files: vec![PathBuf::from(key)],
        only_key_files: true,
        agent: None,
        via: None,
        password: None,
        become_password: None,
    };
    let logins = Logins::of_user("/nonexistent", None, Box::new(|_| None));
    let began = std::time::Instant::now();
    let session = Session::open(route, &known, &logins).await.map_err(|failure| format!("{failure:?}"))?;
    let file = Upload { from: Path::new(from), to, sha256, mode: 0o644 };
    session.upload(file, &|_, _| {}).await.map_err(|trouble| format!("{trouble:?}"))?;
    Ok(began.elapsed().as_secs_f64())
}
