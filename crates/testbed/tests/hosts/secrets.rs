//! No secret is seen by who lists processes, here or on a host, nor read in what a run leaves behind.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::bed::Bed;
use crate::controller::Controller;

/// What `break HOST sudo-password` sets.
const PASSWORD: &str = "open-sesame-of-the-testbed";

/// The command lines of all processes of this machine; those of the hosts are among them.
fn command_lines() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

fn files_below(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
#[ignore = "needs root and real hosts"]
fn passwords_stay_where_they_are() {
    let bed = Bed::up("secrets", &["--nodes", "2"]);
    for host in ["node01", "node02"] {
        bed.break_it(host, "sudo-password");
    }
    // The second host takes no key.
    let only_passwords = "mv /home/ansible/.ssh/authorized_keys /root/
        echo 'PasswordAuthentication yes' > /etc/ssh/sshd_config.d/00-password.conf
        systemctl restart ssh";
    bed.shell("node02", only_passwords);
    let sudo = format!("ansible_become_password: {PASSWORD}");
    let both = format!("ansible_password: {PASSWORD}, {sudo}");
    let controller = Controller::new(&bed, &[("node01", &sudo), ("node02", &both)], "");
    let (over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let ran = thread::scope(|scope| {
        let looking = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let seen = command_lines();
                let told = seen.iter().find(|line| line.contains(PASSWORD));
                assert!(told.is_none(), "{told:?}");
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ran = controller.apply(&[]);
        over.store(true, Ordering::Relaxed);
        looking.join().unwrap();
        ran
    });
    assert!(ran.converged(), "{:#?}", ran.troubles());
    assert!(looks.into_inner() > 50);
    assert!(!format!("{ran:?}").contains(PASSWORD));
    let files = files_below(&controller.site().join(".bringup"));
    assert!(!files.is_empty());
    for file in files {
        assert!(!String::from_utf8_lossy(&fs::read(&file).unwrap()).contains(PASSWORD), "{}", file.display());
    }
    for host in ["node01", "node02"] {
        assert_eq!(bed.shell(host, &format!("grep -rsl {PASSWORD} /var/log /var/lib/bringup /run/log || :")), "");
        assert_eq!(bed.shell(host, &format!("journalctl -q --no-pager | grep -c {PASSWORD} || :")), "0");
    }
}
