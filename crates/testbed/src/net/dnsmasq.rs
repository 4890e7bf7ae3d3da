//! What dnsmasq is told: a fixed address and a name for each host.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::failure::{Failure, Tried};
use crate::records::write_whole;
use crate::subnet;
use crate::testbed::Testbed;

/// The domain of all hosts.
pub const DOMAIN: &str = "lan";

/// The domain that `wrong-dns` gives.
pub const WRONG_DOMAIN: &str = "elsewhere.example";

/// Where its settings are.
pub fn settings_path(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("dnsmasq.conf")
}

/// Where the settings are that it runs with.
pub fn running_path(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("dnsmasq.running")
}

/// Its settings; the hosts of these names get another domain.
pub fn settings(testbed: &Testbed, wrong: &[String]) -> String {
    let directory = testbed.directory();
    let (bridge, gateway, i) = (testbed.bridge(), testbed.gateway(), testbed.subnet);
    let mut text = format!(
        "interface={bridge}\nexcept-interface=lo\nbind-interfaces\nno-hosts\nuser=root\npid-file=\n\
         domain={DOMAIN}\nlocal=/{DOMAIN}/\nlocal=/{WRONG_DOMAIN}/\nhost-record=testbed.{DOMAIN},{gateway}\n\
         dhcp-authoritative\ndhcp-range=10.97.{i}.2,static,255.255.255.0,1h\n\
         dhcp-leasefile={0}/leases\nlog-facility={0}/logs/dnsmasq.log\n",
        directory.display()
    );
    for host in &testbed.hosts {
        let (mac, address) = (subnet::hardware_address(i, host.number), testbed.address(host));
        if wrong.contains(&host.name) {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "domain={WRONG_DOMAIN},{address},{address}");
        }
        let _ = writeln!(text, "dhcp-host={mac},{},{address}", host.name);
    }
    text
}

/// Writes its settings down. Who serves sees them change and starts dnsmasq anew.
pub fn tell(testbed: &Testbed) -> Result<(), Failure> {
    let mut wrong = Vec::new();
    for host in &testbed.hosts {
        if crate::breakage::marks::is_set(testbed, host, "wrong-dns") {
            wrong.push(host.name.clone());
        }
    }
    let logs = testbed.directory().join("logs");
    fs::create_dir_all(&logs).tried(|| format!("make {}", logs.display()))?;
    write_whole(&settings_path(testbed), settings(testbed, &wrong).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testbed::{Host, Place};

    #[test]
    fn each_host_has_its_address_and_a_wrong_one_its_domain() {
        let host =
            |number: u8| Host { name: format!("node0{number}"), number, workstation: false, place: Place::Alone };
        let testbed = Testbed {
            name: "x".to_owned(),
            subnet: 7,
            base: String::new(),
            bmc_base: String::new(),
            images: String::new(),
            disks: false,
            kubernetes: false,
            hosts: vec![host(1), host(2)],
        };
        let text = settings(&testbed, &["node02".to_owned()]);
        assert!(text.contains("dhcp-host=02:74:62:00:07:01,node01,10.97.7.11\n"));
        assert!(text.contains("domain=elsewhere.example,10.97.7.12,10.97.7.12\n"));
        assert!(!text.contains("10.97.7.11,10.97.7.11"));
    }
}
