//! When a host is ready: its name resolves, its SSH answers and its cloud-init is done.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::guest;
use crate::breakage::marks;
use crate::failure::Failure;
use crate::net::{dns, dnsmasq};
use crate::testbed::{Host, Place, Testbed};
use crate::wait;

/// Thirty hosts that boot at once on two cores take their time.
const BOUND: Duration = Duration::from_secs(240);

/// Waits until a host is ready, as far as it can be with what is broken in it.
pub fn wait(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let mut lacks = "its start";
    let mut done = |now: &'static str| {
        lacks = now;
        Ok(None)
    };
    let ready = wait::until(BOUND, &format!("{} to be ready", host.name), || {
        let Some(leader) = guest::leader(testbed, host)? else {
            if testbed.records().process(&host.name)?.is_none() {
                return Err(Failure::new(format!("start {}", host.name), "it went off while it started"));
            }
            return done("its start");
        };
        // Looked at without following it: where a link leads is inside, and only that it is there counts.
        let result = guest::root(leader).join("run/cloud-init/result.json");
        if host.place == Place::Bmc {
            if !listens(testbed.address(host), 443) {
                return done("an answer of its bmcd");
            }
        } else if result.symlink_metadata().is_err() {
            return done("the end of cloud-init");
        }
        if !marks::is_set(testbed, host, "wrong-dns")
            && dns::ask(testbed.gateway(), &format!("{}.{}", host.name, dnsmasq::DOMAIN)).is_none()
        {
            return done("its name");
        }
        if !marks::is_set(testbed, host, "refuse-ssh") && !answers(testbed.address(host)) {
            return done("an answer of its sshd");
        }
        Ok(Some(()))
    });
    ready.map_err(|failure| {
        let log = testbed.host_directory(host).join("console.log");
        failure.help(format!("what it lacked last was {lacks}; see {}", log.display()))
    })
}

fn listens(address: Ipv4Addr, port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from((address, port)), Duration::from_millis(1000)).is_ok()
}

/// Whether an SSH server answers with its banner.
pub fn answers(address: Ipv4Addr) -> bool {
    let banner = || -> std::io::Result<[u8; 4]> {
        let bound = Duration::from_millis(1000);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 22)), bound)?;
        stream.set_read_timeout(Some(bound))?;
        let mut banner = [0_u8; 4];
        stream.read_exact(&mut banner)?;
        Ok(banner)
    };
    banner().is_ok_and(|banner| &banner == b"SSH-")
}
