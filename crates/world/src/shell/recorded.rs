//! What real hosts answered to our questions, and that it is still understood.
//!
//! `recordings/STATE.json` holds, for a host in some state, each question's shell and what it printed. To record anew,
//! with a host of the testbed and the words that `testbed list` gives for logging in:
//!
//! ```sh
//! BRINGUP_RECORD=fresh BRINGUP_RECORD_SSH='ssh -i … ansible@…' cargo test -p bringup-world record -- --ignored
//! ```

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use bringup_core::deed::{Content, Deed, Job, UnitAction};
use bringup_core::probe::{
    BootId, CloudInit, Directory, Disk, File, GpuDriver, JobState, K3s, Packages, PackagesBusy, Probe, RebootRequired,
    RootPartition, RunningJobs, System, Unit, Upgrades,
};
use bringup_core::secret::Secret;
use serde::{Deserialize, Serialize};

use super::{Script, Section, answer, effect, question};

#[derive(Serialize, Deserialize)]
struct Exchange {
    probe: String,
    shell: String,
    out: String,
    err: String,
    status: i32,
}

/// Every question that is asked of a node's shell.
fn questions() -> Vec<Probe> {
    let names = ["open-iscsi", "openssh-server", "no-such-package"].map(str::to_owned);
    vec![
        BootId {}.into(),
        File { path: "/etc/hostname".to_owned() }.into(),
        File { path: "/nonexistent/it's".to_owned() }.into(),
        Directory { path: "/etc/apt".to_owned() }.into(),
        Directory { path: "/etc/hostname".to_owned() }.into(),
        System {}.into(),
        RootPartition {}.into(),
        Disk { path: "/dev/loop0".to_owned() }.into(),
        Disk { path: "/dev/loop1".to_owned() }.into(),
        Disk { path: "/dev/nvme9n1".to_owned() }.into(),
        CloudInit {}.into(),
        Packages { names: names.into() }.into(),
        Upgrades {}.into(),
        RebootRequired {}.into(),
        Unit { name: "ssh.service".to_owned() }.into(),
        Unit { name: "no-such-unit.service".to_owned() }.into(),
        JobState { name: "dist-upgrade" }.into(),
        RunningJobs {}.into(),
        PackagesBusy {}.into(),
        GpuDriver {}.into(),
        K3s {}.into(),
    ]
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/shell/recordings")
}

#[test]
fn answers_of_real_hosts_are_understood() {
    for state in ["fresh", "prepared", "moved"] {
        let text = std::fs::read_to_string(directory().join(format!("{state}.json"))).unwrap();
        let recorded: Vec<Exchange> = serde_json::from_str(&text).unwrap();
        let questions = questions();
        assert_eq!(recorded.len(), questions.len(), "{state}: record anew");
        let mut answers = Vec::new();
        for (exchange, probe) in recorded.into_iter().zip(questions) {
            assert_eq!(question(&probe).unwrap(), exchange.shell, "{state}, {probe:?}: another question, record anew");
            let section = Section { out: exchange.out, err: exchange.err, status: exchange.status };
            answers.push(answer(&probe, &section).unwrap_or_else(|odd| panic!("{state}, {probe:?}: {odd}")));
        }
        insta::assert_debug_snapshot!(state, answers);
    }
}

#[test]
#[ignore = "records: see above"]
fn record() {
    let (state, ssh) = (std::env::var("BRINGUP_RECORD").unwrap(), std::env::var("BRINGUP_RECORD_SSH").unwrap());
    let mut script = Script::new();
    for probe in questions() {
        script.add(&question(&probe).unwrap());
    }
    let mut child = Command::new("sh")
        .args(["-c", &format!("{ssh} sudo -n /bin/sh")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.text().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let sections = script.sections(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr));
    let exchanges: Vec<Exchange> = questions()
        .into_iter()
        .zip(sections)
        .map(|(probe, section)| {
            let Section { out, err, status } = section.unwrap();
            Exchange { probe: format!("{probe:?}"), shell: question(&probe).unwrap(), out, err, status }
        })
        .collect();
    std::fs::create_dir_all(directory()).unwrap();
    let text = serde_json::to_string_pretty(&exchanges).unwrap();
    std::fs::write(directory().join(format!("{state}.json")), text + "\n").unwrap();
}

#[test]
fn deeds_as_shell() {
    let job = |job| Deed::StartJob { job };
    let deeds = [
        Deed::WriteFile {
            path: "/etc/it's here/a".to_owned(),
            content: Content::Plain("one\n'two' $three\n".to_owned()),
            mode: 0o644,
        },
        Deed::WriteFile { path: "/etc/b".to_owned(), content: Content::Hidden(Secret::new("hush")), mode: 0o600 },
        Deed::FetchKeyring {
            url: "https://example.org/key?a=b&c".to_owned(),
            path: "/usr/share/keyrings/k.gpg".to_owned(),
        },
        Deed::MakeDirectory { path: "/opt/with space".to_owned() },
        job(Job::ConfigurePackages),
        job(Job::DistUpgrade),
        job(Job::Autoremove),
        job(Job::InstallPackages { names: ["a".to_owned(), "b; reboot".to_owned()].into() }),
        job(Job::InstallGpuDriver),
        job(Job::MoveRoot { disk: "/dev/nvme0n1".to_owned() }),
        Deed::Reboot,
        Deed::Unit { name: "k3s-agent.service".to_owned(), action: UnitAction::Restart },
    ];
    let shell: Vec<String> = deeds.iter().map(|deed| format!("# {deed}\n{}\n", effect(deed).unwrap())).collect();
    insta::assert_snapshot!(shell.join("\n"));
}
