//! The real binary: what it says, and with which status it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use bringup_core::run::event::Log;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Runs it where nothing is, with nobody to ask.
fn bringup(arguments: &[&str]) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
    command.args(arguments).current_dir(nowhere.path()).env("HOME", nowhere.path()).env_remove("BIN_DIR");
    command.env_remove("ANSIBLE_VAULT_PASSWORD_FILE").stdin(std::process::Stdio::null());
    command.output().unwrap()
}

fn status(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The example on the disk: a copy that a run may write its lock into.
fn example() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(&tests().join("../../../examples/turing-pi"), copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

#[test]
fn every_problem_of_a_site_in_one_report() {
    let site = tests().join("broken");
    let run = bringup(&["rehearse", "-i", site.to_str().unwrap()]);
    assert_eq!(status(&run), 2);
    assert_eq!(out(&run), "", "nothing is played on a site that is not sound");
    insta::assert_snapshot!(err(&run).replace(site.to_str().unwrap(), "SITE"));
}

/// Variables of what is run as root or as the operator: its address, and its sum.
const DOWNLOADS: [(&str, &str); 7] = [
    ("k3s_install_url", "k3s_install_sha256"),
    ("k3s_artifact_url", "k3s_artifact_sha256"),
    ("nvidia_toolkit_url", "nvidia_toolkit_key_sha256"),
    ("helm_url", "helm_sha256"),
    ("kubectl_url", "kubectl_sha256"),
    ("kubeseal_url", "kubeseal_sha256"),
    ("helm_diff_url", "helm_diff_sha256"),
];

/// The plan of the example with more variables, and how many lines stand before them.
fn plan_with(variables: &str) -> (Output, usize) {
    let site = example();
    let path = site.path().join("group_vars/all.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}{variables}")).unwrap();
    (bringup(&["rehearse", "--plan-only", "-i", site.path().to_str().unwrap()]), text.lines().count())
}

#[test]
fn what_is_run_comes_with_tls_or_a_sum() {
    let sum = "a5".repeat(32);
    for (url, sha256) in DOWNLOADS {
        for address in
            ["http://mirror.example/x", "HTTP://mirror.example/x", "mirror.example/x", "ftp://mirror.example/x"]
        {
            for without in [String::new(), format!("{sha256}: null\n")] {
                let (run, before) = plan_with(&format!("{url}: {address}\n{without}"));
                assert_eq!(status(&run), 2, "{url}: {address}");
                let place = format!("group_vars/all.yml:{}:{}", before + 1, url.len() + 3);
                assert!(err(&run).contains(&place) && err(&run).contains(&format!("set {sha256}")), "{}", err(&run));
            }
        }
        for good in
            [format!("{url}: https://mirror.example/x\n"), format!("{url}: http://mirror.example/x\n{sha256}: {sum}\n")]
        {
            let (run, _) = plan_with(&good);
            assert_eq!(status(&run), 0, "{good}{}", err(&run));
        }
        let (run, _) = plan_with(&format!("{url}: http://mirror.example/x\n{sha256}: abc\n"));
        assert_eq!(status(&run), 2, "{sha256}");
        assert!(err(&run).contains("a SHA-256 in hex") && !err(&run).contains("is not set"), "{}", err(&run));
    }
    let (run, _) =
        plan_with(&format!("k3s_artifact_url: http://mirror.example/x\nk3s_artifact_sha256: [{sum}, {sum}]\n"));
    assert_eq!(status(&run), 0, "{}", err(&run));
    for (none, words) in [("[]", "is not set"), ("[5]", "a list of them"), ("[abc]", "a list of them")] {
        let (run, _) = plan_with(&format!("k3s_artifact_url: http://mirror.example/x\nk3s_artifact_sha256: {none}\n"));
        assert!(status(&run) == 2 && err(&run).contains(words), "{none}: {}", err(&run));
    }
}

#[test]
fn the_built_in_sum_of_an_image_is_of_the_built_in_image_alone() {
    let sum = "a5".repeat(32);
    for kind in ["rk1", "cm4"] {
        let url = format!("{kind}_image_url: https://mirror.example/other.img.xz\n");
        for (variables, expected) in [
            (url.clone(), 2),
            (format!("{url}{kind}_image_sha256: null\n"), 2),
            (format!("{url}{kind}_image_sha256: {sum}\n"), 0),
            (format!("{kind}_image_sha256: null\n"), 0),
        ] {
            let (run, _) = plan_with(&variables);
            assert_eq!(status(&run), expected, "{variables}{}", err(&run));
            let words = format!("`{kind}_image_sha256` is not set");
            assert_eq!(err(&run).contains(&words), expected == 2, "{variables}{}", err(&run));
        }
    }
}

#[test]
fn a_rehearsal_of_the_example_ends_with_what_the_real_thing_would_take() {
    let run = bringup(&["rehearse"]);
    assert_eq!(status(&run), 0, "{}", err(&run));
    let text = out(&run);
    for part in [
        "This may hurt:",
        "! erase eMMC of node02",
        "The real thing would take about ",
        "Stage by stage, as the playbook runs, it would take ",
        "What decides the time is this chain of steps:",
        "A second pass changes nothing: all ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_example_in_the_binary_is_the_one_on_the_disk() {
    let site = example();
    let embedded = out(&bringup(&["rehearse", "--plan-only", "--json"]));
    let on_disk = bringup(&[
        "rehearse",
        "--plan-only",
        "--json",
        "-i",
        site.path().to_str().unwrap(),
        "-e",
        "bin_dir=/home/user/bin",
        "-e",
        "do_flash=true",
    ]);
    let steps = |text: &str| -> Vec<serde_json::Value> {
        let events = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.filter(|event| event["event"] == "step_planned").map(|event| event["step"].clone()).collect()
    };
    let (embedded, on_disk) = (steps(&embedded), steps(&out(&on_disk)));
    assert_eq!(embedded, on_disk);
    assert!(embedded.len() > 100);
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed: &str| {
        let run = bringup(&["rehearse", "--json", "--faults", "--seed", seed]);
        assert_eq!(status(&run), 0, "seed {seed}: {}", err(&run));
        out(&run)
    };
    assert_eq!(story("7"), story("7"));
    assert_ne!(story("7"), story("8"));
    assert!(story("7").contains("\"retrying\""), "with faults on something is tried again");
}

#[test]
fn json_is_one_event_a_line_and_holds_the_report() {
    let run = bringup(&["rehearse", "--json"]);
    let events: Vec<serde_json::Value> = out(&run)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let mut log = Log::default();
    let read = out(&run).lines().filter(|line| log.read(line.as_bytes()).unwrap().event.is_some()).count();
    assert_eq!(read, events.len() - 1, "all but the report are events of the run");
    let report = events.last().unwrap();
    assert_eq!(report["event"], "report");
    assert!(report["predicted_ms"].as_u64().unwrap() < report["stage_by_stage_ms"].as_u64().unwrap());
    assert!(!report["chain"].as_array().unwrap().is_empty());
}

#[test]
fn limits_and_tags_are_ansibles() {
    let planned = |arguments: &[&str]| {
        let run = bringup(&[&["rehearse", "--plan-only", "--json"], arguments].concat());
        // On new hardware a worker alone finds no cluster to join, and the plan says so with status 1.
        assert!(status(&run) <= 1, "{arguments:?}: {}", err(&run));
        let lines: Vec<serde_json::Value> = out(&run).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let steps = lines.iter().filter(|line| line["event"] == "step_planned");
        steps.map(|line| line["step"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let node03 = planned(&["--limit", "node03"]);
    assert!(node03.iter().any(|step| step == "turingpi/known_host"), "a node brings its board along: {node03:?}");
    assert!(
        node03.iter().all(|step| !step.starts_with("node02/") && !step.starts_with("controller/helm")),
        "{node03:?}"
    );
    let board = planned(&["--limit", "turingpi"]);
    assert!(board.iter().all(|step| step.starts_with("turingpi/")), "a board does not bring its nodes: {board:?}");
    let servers = planned(&["--tags", "servers", "--limit", "node02,!node03"]);
    assert!(servers.iter().any(|step| step.starts_with("node02/")), "{servers:?}");
    assert!(servers.iter().all(|step| !step.ends_with("k3s_agent")), "{servers:?}");
    assert_eq!(planned(&["--skip-tags", "tools,flash,known_hosts,servers,cluster"]), planned(&["--tags", "k3s"]));
}

#[test]
fn what_selects_nothing_is_an_error() {
    for (arguments, message) in [
        (vec!["--tags", "k3d"], "there is no stage `k3d`\n  help: did you mean `k3s`?"),
        (vec!["--limit", "node3"], "there is no host or group `node3`\n  help: did you mean `node03`?"),
        (vec!["--limit", "node01,!node01"], "--limit node01,!node01 selects nothing"),
        (vec!["--tags", "k3s", "--skip-tags", "k3s"], "no stage is left to run"),
        (vec!["-e", "nonsense"], "`nonsense` sets no variable"),
        (vec!["-i", "/nowhere"], "there is no /nowhere"),
    ] {
        let run = bringup(&[&["rehearse"], arguments.as_slice()].concat());
        assert_eq!(status(&run), 2, "{arguments:?}");
        assert!(err(&run).contains(message), "{arguments:?}: {}", err(&run));
    }
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [&["frobnicate"] as &[&str], &["inventory"], &["rehearse", "--seed", "x"], &[]] {
        assert_eq!(status(&bringup(arguments)), 2, "{arguments:?}");
    }
    assert_eq!(status(&bringup(&["--help"])), 0);
}

#[test]
fn a_second_run_is_told_who_holds_the_site() {
    let site = example();
    std::fs::create_dir(site.path().join(".bringup")).unwrap();
    let lock = std::fs::File::create(site.path().join(".bringup/lock")).unwrap();
    lock.lock().unwrap();
    std::fs::write(site.path().join(".bringup/lock"), "apply by me (process 1) since yesterday").unwrap();
    let run = bringup(&["apply", "-i", site.path().to_str().unwrap()]);
    assert_eq!(status(&run), 1);
    assert!(
        err(&run).contains("another run is at work on this site: apply by me (process 1) since yesterday"),
        "{}",
        err(&run)
    );
}

#[test]
fn secrets_of_an_inventory_are_not_shown() {
    let site = tempfile::tempdir().unwrap();
    std::fs::write(
        site.path().join("hosts.yml"),
        "all:\n  hosts:\n    a:\n      ansible_password: hunter2\n      ansible_become_password: hunter3\n      open: seen\n",
    )
    .unwrap();
    let run = bringup(&["inventory", "--list", "-i", site.path().to_str().unwrap()]);
    assert_eq!(status(&run), 0, "{}", err(&run));
    assert!(out(&run).contains("seen") && !out(&run).contains("hunter"), "{}", out(&run));
}

/// `--limit "$NODE"` where nobody set the variable must not act on every host.
#[test]
fn a_selection_of_nothing_is_a_usage_error() {
    let site = example();
    let site = site.path().to_str().unwrap();
    for command in ["plan", "apply", "rehearse"] {
        for flag in ["--limit", "-l", "--tags", "-t", "--skip-tags"] {
            for nothing in ["", " ", ",", " , ,"] {
                let run = bringup(&[command, "-i", site, flag, nothing]);
                assert_eq!(status(&run), 2, "{command} {flag} {nothing:?}: {}{}", out(&run), err(&run));
                assert_eq!(out(&run), "", "{command} {flag} {nothing:?}");
                assert!(err(&run).contains("nothing is named"), "{}", err(&run));
            }
        }
    }
    let second = bringup(&["rehearse", "-i", site, "--limit", "node01", "--limit", ""]);
    assert_eq!(status(&second), 2, "one of two is empty: {}", err(&second));
    let good = bringup(&["rehearse", "-i", site, "--plan-only", "--limit", "node01,", "--tags", "flash,"]);
    assert_eq!(status(&good), 0, "{}", err(&good));
}

#[test]
fn too_few_files_are_an_error_in_words() {
    for files in [6, 9, 20, 63] {
        let run = Command::new("sh")
            .args(["-c", &format!("ulimit -n {files}; exec \"$@\""), "sh", env!("CARGO_BIN_EXE_bringup"), "rehearse"])
            .output()
            .unwrap();
        assert_eq!(status(&run), 1, "{files}: {}", err(&run));
        assert!(err(&run).contains("ulimit -n"), "{files}: {}", err(&run));
    }
}

#[test]
fn fewer_nodes_at_a_time_than_wanted_is_a_warning() {
    let site = tools_site();
    for (files, forks, warned) in [(100, "64", true), (100, "13", false), (1024, "64", false)] {
        let plan = ["plan", "-i", ".", "--tags", "tools", "--forks", forks];
        let run = with_shell(&format!("ulimit -n {files}"), site.path(), &plan);
        let warning = format!("warning: 13 nodes at a time instead of {forks}: ");
        assert_eq!(err(&run).contains(&warning), warned, "{files}, {forks}: {}", err(&run));
    }
}

/// A program that is asked for the vault's password has the limits that the run has.
#[test]
#[cfg(unix)]
fn a_run_leaves_no_core_dumps_and_has_room_for_connections() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let (script, seen) = (directory.path().join("password"), directory.path().join("seen"));
    let text = format!("#!/bin/sh\n{{ ulimit -c; ulimit -Hc; ulimit -Sn; }} > {}\necho secret\n", seen.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let site = example();
    let run = Command::new("sh")
        .args(["-c", "ulimit -c unlimited; ulimit -Sn 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_bringup")])
        .args(["inventory", "--graph", "-i", site.path().to_str().unwrap(), "--vault-password-file"])
        .arg(&script)
        .env("HOME", directory.path())
        .output()
        .unwrap();
    assert_eq!(status(&run), 0, "{}", err(&run));
    let seen = std::fs::read_to_string(seen).unwrap();
    let [soft, hard, files] = seen.lines().collect::<Vec<_>>()[..] else { panic!("{seen}") };
    assert_eq!([soft, hard], ["0", "0"]);
    assert!(files == "unlimited" || files.parse::<u64>().unwrap() > 64, "{files}");
}

#[test]
#[cfg(unix)]
fn a_password_script_that_prints_for_ever_is_an_error() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("password");
    std::fs::write(&script, "#!/bin/sh\nexec yes\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    let site = example();
    let run = Command::new(env!("CARGO_BIN_EXE_bringup"))
        .args(["inventory", "--graph", "-i", site.path().to_str().unwrap(), "--vault-password-file"])
        .arg(&script)
        .env("HOME", directory.path())
        .output()
        .unwrap();
    assert_eq!(status(&run), 2, "{}", err(&run));
    assert!(err(&run).contains("it prints more than 1048576 bytes"), "{}", err(&run));
}

/// A site whose stage `tools` can be planned without a network, and would write into `home`.
fn tools_site() -> tempfile::TempDir {
    let site = tempfile::tempdir().unwrap();
    let hosts = "controller:\n  hosts:\n    localhost:\n      ansible_connection: local\n";
    std::fs::write(site.path().join("hosts.yml"), hosts).unwrap();
    std::fs::create_dir(site.path().join("group_vars")).unwrap();
    let urls = ["helm", "kubectl", "kubeseal", "helm_diff"].map(|tool| format!("{tool}_url: file:///nowhere\n"));
    std::fs::write(site.path().join("group_vars/all.yml"), urls.concat() + "cluster_domain: example.org\n").unwrap();
    site
}

/// Runs it on that site, by way of a shell's words in front of it.
fn with_shell(before: &str, site: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("bash");
    let script = format!("{before}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_bringup")]).args(arguments).current_dir(site);
    command.env("HOME", site.join("home")).stdin(std::process::Stdio::null());
    for name in ["BIN_DIR", "KUBECONFIG", "HELM_PLUGINS", "ANSIBLE_VAULT_PASSWORD_FILE"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

/// Standard output is a pipe of which nobody holds the other end.
const NO_READER: &str = "exec > >(exec true); wait $!";

/// The journals of a site's runs, one after the other.
fn journals(site: &Path) -> String {
    let mut paths: Vec<_> = site.join(".bringup/runs").read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn what_nobody_could_read_is_not_approved() {
    for stdout in ["exec >/dev/full", NO_READER] {
        for json in [&[] as &[&str], &["--json"]] {
            let site = tools_site();
            let run = with_shell(stdout, site.path(), &[&["apply", "-y", "-i", ".", "--tags", "tools"], json].concat());
            let case = format!("{stdout} {json:?}: {}", err(&run));
            assert_eq!(status(&run), 1, "{case}");
            assert!(err(&run).contains("error: cannot write the plan to standard output: "), "{case}");
            assert!(err(&run).contains("Apply cancelled. Nothing was changed."), "{case}");
            let journal = journals(site.path());
            assert!(journal.contains("\"pass\":\"plan\"") && !journal.contains("\"pass\":\"apply\""), "{case}");
            assert!(!site.path().join("home").exists(), "{case}");
        }
    }
}

#[test]
fn output_that_is_lost_is_an_error() {
    let site = tools_site();
    std::fs::create_dir(site.path().join("home")).unwrap();
    let plan = ["plan", "-i", ".", "--tags", "tools"];
    for arguments in [
        &plan as &[&str],
        &["plan", "-i", ".", "--tags", "tools", "--json"],
        &["rehearse", "--plan-only"],
        &["rehearse", "--json"],
        &["inventory", "-i", ".", "--graph"],
        &["inventory", "-i", ".", "--list"],
        &["--help"],
    ] {
        let run = with_shell("exec >/dev/full", site.path(), arguments);
        assert_eq!(status(&run), 1, "{arguments:?}: {}", err(&run));
        let lost = "error: cannot write to standard output: No space left on device";
        assert_eq!(err(&run).matches(lost).count(), 1, "{arguments:?}: {}", err(&run));
    }
    let run = with_shell(NO_READER, site.path(), &["rehearse", "--plan-only"]);
    assert_eq!((status(&run), err(&run)), (0, String::new()), "who closed it has read enough");
}

#[test]
fn a_full_disk_is_said_once() {
    let site = tools_site();
    // Files stop growing at their first block; pipes do not.
    let run = with_shell("trap '' XFSZ; ulimit -f 1", site.path(), &["apply", "-y", "-i", ".", "--tags", "tools"]);
    assert_eq!(err(&run).matches("warning: cannot write the journal").count(), 1, "{}{}", out(&run), err(&run));
}

#[test]
fn names_from_a_site_do_not_act_on_the_terminal() {
    let site = tempfile::tempdir().unwrap();
    let hosts = "all:\n  hosts:\n    \"a\\e7\\a\\u202e\\u200b\\x9b2J\": {}\n    \"b\\nc\": {}\n";
    std::fs::write(site.path().join("hosts.yml"), hosts).unwrap();
    for arguments in [&["inventory", "--graph", "-i", "."] as &[&str], &["rehearse", "--limit", "x\u{1b}[2J\u{202e}"]] {
        let run = with_shell(":", site.path(), arguments);
        let text = out(&run) + &err(&run);
        assert!(text.contains("\\u{1b}"), "{arguments:?}: {text}");
        let hidden = |one: char| one.is_control() && one != '\n' || matches!(one, '\u{202e}' | '\u{200b}');
        assert!(!text.contains(hidden), "{arguments:?}: {text:?}");
        assert!(!text.lines().any(|line| line.starts_with('c')), "{text}");
    }
}
