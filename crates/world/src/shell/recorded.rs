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

use bringup_core::contract::controller::Content;
use bringup_core::contract::node::{
    Action, ControlUnit, FetchK3s, FetchKeyring, InstallK3s, Join, KeptFiles, MakeDirectory, Question, Reboot,
    StartJob, UninstallK3s, UnitAction, WriteFile,
};
use bringup_core::contract::{Job, K3sRole};
use bringup_core::ids::{DiskPath, Sha256};
use bringup_core::text::secret::Secret;
use serde::{Deserialize, Serialize};

use super::every_question::{k3s_questions, questions};
use super::questions::piece;
use super::{Acting, Script, Section, acting, answer};

#[derive(Serialize, Deserialize)]
struct Exchange {
    probe: String,
    shell: String,
    out: String,
    err: String,
    status: i32,
}

/// The questions that a state is recorded with.
fn questions_of(state: &str) -> Vec<Question> {
    if state.starts_with("k3s") { k3s_questions() } else { questions() }
}

/// What the states are: no k3s and none before; k3s as `actions_as_shell` has it installed, by a script that makes the units
/// and a binary that only tells its release; uninstalled again by ours. An agent's journal was given lines of the real
/// one.
const STATES: [&str; 7] = ["fresh", "prepared", "moved", "k3s-none", "k3s-server", "k3s-agent", "k3s-uninstalled"];

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/shell/recordings")
}

#[test]
fn answers_of_real_hosts_are_understood() {
    for state in STATES {
        let text = std::fs::read_to_string(directory().join(format!("{state}.json"))).unwrap();
        let recorded: Vec<Exchange> = serde_json::from_str(&text).unwrap();
        let questions = questions_of(state);
        assert_eq!(recorded.len(), questions.len(), "{state}: record anew");
        let mut answers = Vec::new();
        for (exchange, question) in recorded.into_iter().zip(questions) {
            assert_eq!(
                piece(&question).unwrap(),
                exchange.shell,
                "{state}, {question:?}: another question, record anew"
            );
            let section = Section { out: exchange.out, err: exchange.err, status: exchange.status };
            answers.push(answer(&question, &section).unwrap_or_else(|odd| panic!("{state}, {question:?}: {odd:?}")));
        }
        insta::assert_debug_snapshot!(state, answers);
    }
}

#[test]
fn whatever_a_host_answers_is_read_or_refused() {
    let (mut read, mut refused) = (0, 0);
    for state in STATES {
        let text = std::fs::read_to_string(directory().join(format!("{state}.json"))).unwrap();
        let recorded: Vec<Exchange> = serde_json::from_str(&text).unwrap();
        for (exchange, question) in recorded.into_iter().zip(questions_of(state)) {
            for out in crate::mutations::of_text(&exchange.out, 100) {
                let section = Section { out, err: exchange.err.clone(), status: exchange.status };
                match answer(&question, &section) {
                    Ok(_) => read += 1,
                    Err(_) => refused += 1,
                }
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[test]
#[ignore = "records: see above"]
fn record() {
    let (state, ssh) = (std::env::var("BRINGUP_RECORD").unwrap(), std::env::var("BRINGUP_RECORD_SSH").unwrap());
    let mut script = Script::new();
    for question in questions_of(&state) {
        script.add(&piece(&question).unwrap());
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
    let exchanges: Vec<Exchange> = questions_of(&state)
        .into_iter()
        .zip(sections)
        .map(|(question, section)| {
            let Section { out, err, status } = section.unwrap();
            Exchange { probe: format!("{question:?}"), shell: piece(&question).unwrap(), out, err, status }
        })
        .collect();
    std::fs::create_dir_all(directory()).unwrap();
    let text = serde_json::to_string_pretty(&exchanges).unwrap();
    std::fs::write(directory().join(format!("{state}.json")), text + "\n").unwrap();
}

/// A server whose release is there already.
fn server() -> InstallK3s {
    InstallK3s {
        role: K3sRole::Server,
        version: bringup_core::version::Version::parse("v1.33.6+k3s1").unwrap(),
        script: "/cache/install.sh".to_owned(),
        images_name: None,
        config: Secret::new("token: it's\n# >>> bringup >>>\ncluster-init: true\n# <<< bringup <<<\n"),
        ours: true,
        join: None,
        run: "20261126T001122-apply".to_owned(),
    }
}

/// An agent that is handed all it needs.
fn agent() -> InstallK3s {
    let join = Join { server: "https://10.0.0.1:6443".to_owned(), token: Secret::new("K10abc::server:'hush'") };
    let images_name = Some("k3s-airgap-images-amd64.tar.zst".to_owned());
    InstallK3s { role: K3sRole::Agent, images_name, join: Some(join), ..server() }
}

/// The shell that brings an action about.
fn shell(action: &Action) -> String {
    match acting(action) {
        Acting::Shell(piece) | Acting::WithInstallScript(_, piece) => piece,
        other => panic!("{other:?}"),
    }
}

#[test]
fn actions_as_shell() {
    let job = |job| Action::from(StartJob { job });
    let fetch = |digits: &[&str]| FetchK3s {
        version: server().version,
        url: "https://mirror.example/it's".to_owned(),
        sums: digits.iter().map(|digit| Sha256::parse(&digit.repeat(64)).unwrap()).collect(),
    };
    let actions: [Action; 18] = [
        WriteFile {
            path: "/etc/it's here/a".to_owned(),
            content: Content::Plain("one\n'two' $three\n".to_owned()),
            mode: 0o644,
        }
        .into(),
        WriteFile { path: "/etc/b".to_owned(), content: Content::Hidden(Secret::new("hush")), mode: 0o600 }.into(),
        FetchKeyring {
            url: "https://example.org/key?a=b&c".to_owned(),
            sha256: None,
            path: "/usr/share/keyrings/k.gpg".to_owned(),
        }
        .into(),
        FetchKeyring {
            url: "http://mirror.example/key".to_owned(),
            sha256: Sha256::parse(&"5".repeat(64)),
            path: "/usr/share/keyrings/k.gpg".to_owned(),
        }
        .into(),
        MakeDirectory { path: "/opt/with space".to_owned() }.into(),
        job(Job::ConfigurePackages),
        job(Job::DistUpgrade),
        job(Job::Autoremove),
        job(Job::InstallPackages { names: ["a".to_owned(), "b; reboot".to_owned()].into() }),
        job(Job::InstallGpuDriver),
        job(Job::MoveRoot { disk: DiskPath::parse("/dev/nvme0n1").unwrap() }),
        Reboot {}.into(),
        ControlUnit { name: "k3s-agent.service".to_owned(), action: UnitAction::Restart }.into(),
        server().into(),
        agent().into(),
        fetch(&[]).into(),
        fetch(&["a", "b"]).into(),
        UninstallK3s { role: K3sRole::Agent, keep: KeptFiles(vec!["/etc/rancher/k3s/config.yaml".to_owned()]) }.into(),
    ];
    let shell: Vec<String> = actions.iter().map(|action| format!("# {action}\n{}\n", shell(action))).collect();
    insta::assert_snapshot!(shell.join("\n"));
}
