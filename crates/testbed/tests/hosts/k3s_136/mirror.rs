//! A mirror as it was recorded with: of releases, some of which lack something, and of channels.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Where the releases were, and the channels.
const RELEASES: u16 = 8930;
const CHANNELS: u16 = 8932;

/// Where the testbed has its own.
const BEHIND: u16 = 8917;

/// The paths that were asked for, each with the status of its answer, in order.
type Log = Arc<Mutex<Vec<(String, u64)>>>;

pub struct Mirror {
    gateway: Ipv4Addr,
    log: Log,
}

impl Mirror {
    /// One on a bridge's own address. It goes with the process.
    pub fn at(gateway: Ipv4Addr) -> Self {
        let log = Log::default();
        for port in [RELEASES, CHANNELS] {
            let listener = TcpListener::bind((gateway, port)).unwrap();
            let log = Arc::clone(&log);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    // Whoever leaves in the middle has its own story fail.
                    let _ = answer(stream, gateway, port, &log);
                }
            });
        }
        Self { gateway, log }
    }

    /// The address of the testbed's own.
    pub fn behind(&self) -> String {
        format!("http://{}:{BEHIND}/k3s", self.gateway)
    }

    /// What was asked of the releases.
    pub fn asked(&self) -> Vec<(String, u64)> {
        self.log.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, gateway: Ipv4Addr, port: u16, log: &Log) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    while reader.read_line(&mut request)? > 2 {}
    let response = if port == CHANNELS { channel(&path) } else { release(&path, gateway)? };
    let status: u64 = String::from_utf8_lossy(&response[9..12]).parse().unwrap_or_default();
    if port == RELEASES {
        log.lock().unwrap().push((path, status));
    }
    stream.write_all(&response)
}

fn said(status: &str, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.0 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A channel leads to a release's page.
fn channel(path: &str) -> Vec<u8> {
    let page = format!("/k3s-io/k3s/releases/tag/{}", super::stage::RELEASE);
    match path {
        "/v1-release/channels/stable" => said("302 Found", &format!("Location: {page}\r\n"), ""),
        _ if path == page => said("200 OK", "", "a page\n"),
        _ => said("404 Not Found", "", "nothing\n"),
    }
}

/// What the testbed has at that path; of a mirror that lacks something, without it.
fn release(path: &str, gateway: Ipv4Addr) -> std::io::Result<Vec<u8>> {
    let is_sums = path.ends_with("/sha256sum-amd64.txt");
    match path.split('/').nth(2) {
        Some("releases-bad") if is_sums => return Ok(said("200 OK", "", &format!("{:064}  k3s\n", 0))),
        Some("releases-nosum") if is_sums => return Ok(said("200 OK", "", &format!("{:064}  other\n", 0))),
        Some("releases-hole") if !is_sums => return Ok(said("404 Not Found", "", "nothing\n")),
        _ => {}
    }
    let path = ["-bad", "-hole"]
        .iter()
        .fold(path.to_owned(), |path, end| path.replace(&format!("releases{end}/"), "releases/"));
    let mut behind = TcpStream::connect((gateway, BEHIND))?;
    write!(behind, "GET {path} HTTP/1.0\r\nHost: {gateway}\r\nConnection: close\r\n\r\n")?;
    let mut whole = Vec::new();
    behind.read_to_end(&mut whole)?;
    Ok(whole)
}
