//! The site of a testbed: an Ansible inventory that `bringup` and Ansible read.

use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::base::repository;
use crate::failure::{Failure, Tried};
use crate::net::dnsmasq::DOMAIN;
use crate::records::write_whole;
use crate::testbed::{ACCOUNT, Host, Place, REPOSITORY_PORT, Testbed};
use crate::{images, k3s_release, services};

/// Where it is.
pub fn directory(testbed: &Testbed) -> PathBuf {
    testbed.directory().join("site")
}

/// Writes it.
pub fn write(testbed: &Testbed) -> Result<(), Failure> {
    let site = directory(testbed);
    let reached = |host: &Host| {
        let (name, address) = (format!("{}.{DOMAIN}", host.name), IpAddr::from(testbed.address(host)));
        let resolves = (name.as_str(), 22).to_socket_addrs().is_ok_and(|mut all| all.any(|one| one.ip() == address));
        if resolves { name } else { address.to_string() }
    };
    write_whole(&site.join("hosts.yml"), hosts(testbed, reached).as_bytes())?;
    let mut text = settings(testbed, &repository::key_sum(&testbed.base_directory())?);
    text.push_str(&if testbed.kubernetes {
        services::settings(testbed)? + &k3s_release::settings(testbed)?
    } else {
        format!("repo_remote: http://testbed.{DOMAIN}/none.git\n")
    });
    write_whole(&site.join("group_vars/all.yml"), text.as_bytes())?;
    write_whole(&testbed.directory().join("ssh/config"), ssh_config(testbed).as_bytes())?;
    let key = testbed.key().with_extension("pub");
    let key = fs::read(&key).tried(|| format!("read {}", key.display()))?;
    write_whole(&site.join("pub_keys/testbed.pub"), &key)
}

/// The inventory. Nodes with disks are RK1s in boards of four, as only those can move their root; the boards are made up,
/// and nothing answers there.
fn hosts(testbed: &Testbed, reached: impl Fn(&Host) -> String) -> String {
    let mut text = String::from("controller:\n  hosts:\n    localhost:\n      ansible_connection: local\n\n");
    let real = testbed.hosts.iter().filter(|host| host.place == Place::Bmc);
    let alone = testbed.hosts.iter().filter(|host| host.place == Place::Alone);
    let made_up = testbed.disks && testbed.hosts.iter().all(|host| host.place == Place::Alone);
    let (in_boards, extra): (Vec<&Host>, Vec<&Host>) = alone.partition(|host| made_up && !host.workstation);
    let boards: Vec<(String, &[&Host])> =
        in_boards.chunks(4).enumerate().map(|(i, hosts)| (format!("board{}", i + 1), hosts)).collect();
    text.push_str("turing_pis:\n  hosts:");
    let real: Vec<&Host> = real.collect();
    text.push_str(if boards.is_empty() && real.is_empty() { " {}\n" } else { "\n" });
    // Writing to a text cannot fail.
    for bmc in &real {
        let _ = writeln!(text, "    {}:\n      ansible_host: {}\n      ansible_user: root", bmc.name, reached(bmc));
    }
    for (board, _) in &boards {
        let _ = writeln!(text, "    {board}:\n      ansible_host: {board}.invalid");
    }
    for bmc in &real {
        let _ = writeln!(text, "\n{}_nodes:\n  hosts:", bmc.name);
        for (host, slot) in testbed.slots(&bmc.name) {
            let _ = writeln!(text, "    {}:\n      ansible_host: {}", host.name, reached(host));
            let kind = if testbed.has_cm4(&bmc.name, slot) { "pi4" } else { "rk1" };
            let _ = writeln!(text, "      slot_num: {slot}\n      type: {kind}");
        }
    }
    for (board, hosts) in &boards {
        let _ = writeln!(text, "\n{board}_nodes:\n  hosts:");
        for (slot, host) in hosts.iter().enumerate() {
            let _ = writeln!(text, "    {}:\n      ansible_host: {}", host.name, reached(host));
            let _ = writeln!(text, "      slot_num: {}\n      type: rk1", slot + 1);
            if let Some(disk) = crate::disks::second(testbed, host) {
                let _ = writeln!(text, "      root_dev: {disk}");
            }
        }
    }
    text.push_str("\nextra_nodes:\n  hosts:");
    text.push_str(if extra.is_empty() { " {}\n" } else { "\n" });
    for host in extra {
        let _ = writeln!(text, "    {}:\n      ansible_host: {}", host.name, reached(host));
        if host.workstation {
            let _ = writeln!(text, "      workstation: true\n      nvidia_gpu_node: true");
        }
    }
    text.push_str("\nall_nodes:\n  children:\n    extra_nodes:\n");
    for board in boards.iter().map(|(board, _)| board).chain(real.iter().map(|bmc| &bmc.name)) {
        let _ = writeln!(text, "    {board}_nodes:");
    }
    text.push_str("  vars:\n    ansible_user: \"{{ ansible_account }}\"\n");
    text
}

/// What it says of every testbed; the sum is that of the key that signs NVIDIA's repository.
fn settings(testbed: &Testbed, key_sum: &str) -> String {
    let directory = testbed.directory();
    let mut nodes = testbed.hosts.iter().filter(|host| host.place != Place::Bmc);
    let control_plane = nodes.next().map_or("", |host| host.name.as_str());
    let mut text = format!(
        "ansible_account: {ACCOUNT}\nansible_ssh_private_key_file: {key}\nknown_hosts: {directory}/site/known_hosts\n\
         local_domain: .{DOMAIN}\ncontrol_plane: {control_plane}\ncluster_domain: testbed.example\n\
         domain_email: admin@testbed.example\nrepo_branch: main\n\
         do_flash: false\nbin_dir: {directory}/site/bin\nkubeconfig: {directory}/site/kubeconfig\n\
         nvidia_toolkit_url: http://{gateway}:{REPOSITORY_PORT}/nvidia\nnvidia_toolkit_key_sha256: {key_sum}\n",
        key = testbed.key().display(),
        directory = directory.display(),
        gateway = testbed.gateway(),
    );
    if !testbed.images.is_empty() {
        for (kind, file) in images::KINDS {
            let (url, sum) = images::address(testbed, kind, file);
            let _ = writeln!(text, "{kind}_image_url: {url}\n{kind}_image_sha256: {sum}");
        }
    }
    text
}

/// For `ssh -F`: hosts by their names, with the testbed's key, and keys as the hosts themselves tell them.
fn ssh_config(testbed: &Testbed) -> String {
    let mut text = String::new();
    for host in &testbed.hosts {
        let _ = writeln!(text, "Host {0} {0}.{DOMAIN} {1}\n  HostName {1}", host.name, testbed.address(host));
        if host.place == Place::Bmc {
            text.push_str("  User root\n");
        }
    }
    let _ = write!(
        text,
        "Host *\n  User {ACCOUNT}\n  IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  \
         UserKnownHostsFile {}/ssh/known_hosts\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking accept-new\n",
        testbed.key().display(),
        testbed.directory().display(),
    );
    text
}

#[cfg(test)]
mod tests {
    use bringup_core::site::{LoadOptions, load};
    use bringup_world::LocalSource;

    use super::*;

    const KEY_SUM: &str = "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5";

    fn testbed() -> Testbed {
        let host =
            |name: &str, number, workstation| Host { name: name.to_owned(), number, workstation, place: Place::Alone };
        Testbed {
            name: "x".to_owned(),
            subnet: 3,
            base: String::new(),
            bmc_base: String::new(),
            images: String::new(),
            disks: false,
            kubernetes: false,
            hosts: vec![host("node01", 1, false), host("ws01", 2, true)],
        }
    }

    #[test]
    fn hosts_are_reached_as_told_and_workstations_say_so() {
        let text = hosts(&testbed(), |host| format!("{}.lan", host.name));
        assert!(text.contains("turing_pis:\n  hosts: {}\n"), "{text}");
        assert!(text.contains("    node01:\n      ansible_host: node01.lan\n    ws01:\n"), "{text}");
        assert!(text.contains("      workstation: true\n"), "{text}");
    }

    #[test]
    fn nodes_with_disks_sit_in_boards_of_four() {
        let mut testbed = Testbed { disks: true, ..testbed() };
        let node =
            |number: u8| Host { name: format!("node0{number}"), number, workstation: false, place: Place::Alone };
        testbed.hosts = (1..=5).map(node).collect();
        let text = hosts(&testbed, |_| "10.97.3.11".to_owned());
        assert!(text.contains("board2_nodes:\n  hosts:\n    node05:\n"), "{text}");
        assert_eq!(text.matches("slot_num: 1\n").count(), 2, "{text}");
        assert!(text.contains("extra_nodes:\n  hosts: {}\n"), "{text}");
    }

    #[test]
    fn a_board_has_its_bmc_and_its_nodes() {
        let mut testbed = testbed();
        let slot = |slot, cm4| Place::Slot { board: "board1".to_owned(), slot, cm4 };
        let host = |name: &str, number, place| Host { name: name.to_owned(), number, workstation: false, place };
        testbed.hosts =
            vec![host("board1", 1, Place::Bmc), host("node01", 2, slot(1, false)), host("node02", 3, slot(2, true))];
        let text = hosts(&testbed, |host| format!("{}.lan", host.name));
        assert!(text.contains("    board1:\n      ansible_host: board1.lan\n      ansible_user: root\n"), "{text}");
        let second = "    node02:\n      ansible_host: node02.lan\n      slot_num: 2\n      type: pi4\n";
        assert!(text.contains("\nboard1_nodes:\n  hosts:\n    node01:\n") && text.contains(second), "{text}");
        assert!(text.contains("    extra_nodes:\n    board1_nodes:\n"), "{text}");
        assert!(settings(&testbed, KEY_SUM).contains("control_plane: node01\n"));
    }

    #[test]
    fn settings_name_the_key_and_a_file_of_known_hosts_of_their_own() {
        let text = settings(&testbed(), KEY_SUM);
        assert!(text.contains("ansible_ssh_private_key_file: /var/lib/bringup-testbed/x/ssh/id_ed25519\n"), "{text}");
        assert!(text.contains("known_hosts: /var/lib/bringup-testbed/x/site/known_hosts\n"), "{text}");
        assert!(text.contains("http://10.97.3.1:8917/nvidia\n"), "{text}");
    }

    #[test]
    fn bringup_takes_the_site_and_would_not_without_its_sums() {
        let testbed = Testbed { kubernetes: true, ..testbed() };
        let sums = ["helm", "kubectl", "kubeseal", "helm_diff"].map(|tool| format!("{tool}_sha256"));
        let sums = sums.iter().map(|name| (name.as_str(), KEY_SUM.to_owned())).collect();
        let all = settings(&testbed, KEY_SUM)
            + &services::text(&testbed, sums)
            + &k3s_release::text(&testbed, KEY_SUM, &[KEY_SUM.to_owned(), KEY_SUM.to_owned()]);
        let directory = tempfile::tempdir().unwrap();
        let site = directory.path();
        write_whole(&site.join("hosts.yml"), hosts(&testbed, |host| host.name.clone()).as_bytes()).unwrap();
        let inventory = site.to_string_lossy().into_owned();
        let loads = |text: &str| {
            write_whole(&site.join("group_vars/all.yml"), text.as_bytes()).unwrap();
            load(&LocalSource, &LoadOptions { inventory: vec![inventory.clone()], ..LoadOptions::default() })
        };
        loads(&all).unwrap();
        let stated: Vec<&str> = all.lines().filter(|line| line.contains("_sha256: ")).collect();
        assert_eq!(stated.len(), 7, "{all}");
        for line in stated {
            assert!(loads(&all.replace(line, "")).is_err(), "{line}");
        }
    }
}
