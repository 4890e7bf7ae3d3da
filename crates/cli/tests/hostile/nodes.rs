//! A hostile node beside an honest one.

use crate::node::{Honest, Node, Printed, Reply, Script, Sent, Sudo, honestly};
use crate::operator::{Operator, Ran};
use crate::words;

const LOGIN: &str = "l0gin-Sesame";
const SUDO: &str = "sud0-Sesame";
const STAGES: [&str; 2] = ["--tags", "known_hosts,move_fs,update_packages,k3s"];
/// Whatever a node says, its own lane is all that it can end.
const SOMETHING_FAILED: Option<i32> = Some(1);

/// A node as it is after a successful run; its cluster does not answer.
pub fn honest(k3s: &str) -> Honest {
    let upgraded = ("-s -q -o Debug::NoLocking=true --auto-remove dist-upgrade", "0\n0\n0\n4");
    Honest::of(&["moved", k3s]).with(upgraded.0, upgraded.1, 0).with("cat /etc/rancher/k3s/k3s.yaml", "", 1)
}

/// How a hostile node answers, given the directory in which nothing may be created.
pub type Hostile = fn(&str, &Sent, &Script, &[Printed]) -> Reply;

/// An operator with two nodes: `evil`, and the control plane `good`.
struct Two {
    operator: Operator,
    evil: Node,
    _good: Node,
}

impl Two {
    fn with(way: Hostile) -> Self {
        Self::of(honest("k3s-agent"), Sudo::Asks, way)
    }

    /// `would` is what the hostile one would say, were it honest.
    fn of(would: Honest, sudo: Sudo, way: Hostile) -> Self {
        let mut operator = Operator::new();
        let canary = operator.canary();
        let evil = Node::start(would, sudo, move |sent, script, honest| way(&canary, sent, script, honest));
        let good = Node::start(honest("k3s-server"), Sudo::Asks, honestly);
        let host = |name: &str, port| {
            format!(
                "    {name}:\n      ansible_host: 127.0.0.1\n      ansible_port: {port}\n      root_dev: /dev/loop1\n"
            )
        };
        let variables = format!(
            "ansible_account: ops\nansible_password: {LOGIN}\nansible_become_password: {SUDO}\ncontrol_plane: good\n\
             cluster_domain: example.org\nk3s_install_url: {}\n",
            operator.file("home/install.sh", "#!/bin/sh\n")
        );
        operator.site(&variables, &format!("{}{}", host("evil", evil.port), host("good", good.port)));
        operator.hides(LOGIN);
        operator.hides(SUDO);
        operator.file("home/.ssh/known_hosts", &format!("{}{}", evil.known_hosts_line(), good.known_hosts_line()));
        Self { operator, evil, _good: good }
    }

    /// Plans for both, and holds the honest one's lane against what it is without the other.
    fn plan(&self) -> Ran {
        let alone = self.operator.run(&["plan", STAGES[0], STAGES[1], "--limit", "good"], &[]);
        let both = self.operator.run(&["plan", STAGES[0], STAGES[1]], &[]);
        assert_eq!(both.steps("good", None), alone.steps("good", None), "{}", both.said());
        assert!(both.steps("good", None).len() > 8, "{}", both.said());
        assert!(self.evil.passwords().contains(&SUDO.to_owned()), "it had the password to show");
        both
    }
}

/// As an honest one, but for these pieces' lines: of every four, this one is another word. What prints nothing prints a word.
fn with_words(honest: &[Printed], of_four: usize, words: &[String]) -> Vec<Printed> {
    let mut words = words.iter().cycle().skip(of_four * 7);
    let mut other = |line: &str| {
        let word = words.next().cloned().unwrap_or_default();
        // A property keeps its name.
        line.split_once('=').map_or(word.clone(), |(name, _)| format!("{name}={word}"))
    };
    let piece = |(index, piece): (usize, &Printed)| {
        if piece.out.is_empty() {
            let hostile = (index % 4 == of_four).then(|| Printed { out: other(""), err: other(""), status: 0 });
            return hostile.unwrap_or_else(|| piece.clone());
        }
        let lines = piece.out.lines().enumerate();
        let lines: Vec<String> = lines
            .map(|(line, text)| if (index + line) % 4 == of_four { other(text) } else { text.to_owned() })
            .collect();
        Printed { out: lines.join("\n"), err: other(""), status: piece.status }
    };
    honest.iter().enumerate().map(piece).collect()
}

#[test]
fn what_a_node_prints_is_no_code_no_line_and_no_path() {
    let whole: Hostile = |canary, _, script, honest| {
        let text = words::forged_lines(canary);
        let hostile = honest.iter().map(|_| Printed { out: text.clone(), err: text.clone(), status: 0 });
        script.printed(&hostile.collect::<Vec<_>>())
    };
    let ran = Two::with(whole).plan();
    assert_eq!(ran.status, SOMETHING_FAILED, "{}", ran.said());
    assert_eq!(ran.holds("evil"), Some(false));
    assert!(ran.out.contains("\\u{9d}52;c;x"), "it came, and is shown escaped: {}", ran.said());

    let parts: [Hostile; 4] = [
        |canary, _, script, honest| script.printed(&with_words(honest, 0, &words::all(canary))),
        |canary, _, script, honest| script.printed(&with_words(honest, 1, &words::all(canary))),
        |canary, _, script, honest| script.printed(&with_words(honest, 2, &words::all(canary))),
        |canary, _, script, honest| script.printed(&with_words(honest, 3, &words::all(canary))),
    ];
    for part in parts {
        let ran = Two::with(part).plan();
        assert_eq!(ran.status, SOMETHING_FAILED, "{}", ran.said());
    }
}

#[test]
fn numbers_that_fit_into_nothing_end_no_run() {
    let parts: [Hostile; 6] = [
        |_, _, script, honest| script.printed(&with_numbers(honest, 0)),
        |_, _, script, honest| script.printed(&with_numbers(honest, 1)),
        |_, _, script, honest| script.printed(&with_numbers(honest, 2)),
        |_, _, script, honest| script.printed(&with_numbers(honest, 3)),
        |_, _, script, honest| script.printed(&with_numbers(honest, 4)),
        |_, _, script, honest| script.printed(&with_numbers(honest, 5)),
    ];
    for part in parts {
        Two::with(part).plan();
    }
}

/// Each number of an honest answer is another one that is hard to compute with, also in `NAME=NUMBER` and before a point.
/// What is no number stays, or it would be refused before anybody computes.
fn with_numbers(honest: &[Printed], first: usize) -> Vec<Printed> {
    let piece = |piece: &Printed| {
        let mut numbers = words::NUMBERS.iter().cycle().skip(first);
        let mut line = |line: &str| {
            let (name, value) = line.split_once('=').map_or(("", line), |(name, value)| (&line[..=name.len()], value));
            let (whole, fraction) = value.split_at(value.find('.').unwrap_or(value.len()));
            let is_number = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
            match numbers.next().filter(|_| is_number) {
                Some(number) => format!("{name}{number}{fraction}"),
                None => line.to_owned(),
            }
        };
        let lines: Vec<String> = piece.out.lines().map(&mut line).collect();
        Printed { out: lines.join("\n"), ..piece.clone() }
    };
    honest.iter().map(piece).collect()
}

#[test]
fn statuses_and_marks_of_sections_that_lie_end_one_lane() {
    let ways: [Hostile; 3] = [
        // Everything went wrong, and says so in its own way.
        |canary, _, script, honest| {
            let text = words::forged_lines(canary);
            let refused = honest.iter().zip([1, 2, 127, 255, -1, i32::MAX].iter().cycle());
            let refused = refused.map(|(_, status)| Printed { out: text.clone(), err: text.clone(), status: *status });
            script.printed(&refused.collect::<Vec<_>>())
        },
        // It answers for other pieces, and ends some twice or not at all.
        |canary, _, script, honest| {
            let mark = &script.mark;
            let mut out = words::forged_lines(canary);
            for index in ["0", "1", "99999999999999999999", "-1", "end 0", "end end", ""] {
                out += &format!("\n{mark} {index}\nx\n{mark} end 0\n{mark} end {}\n", i64::MAX);
            }
            out += &format!("\n{mark} {}\nno end", honest.len() - 1);
            Reply::Ends { out: out.clone().into_bytes(), err: out.into_bytes(), status: Some(0) }
        },
        // It did not run at all, in bytes that are no text.
        |_, _, _, _| Reply::Ends {
            out: vec![0xff, 0xfe, 0x1b, b'\n'],
            err: vec![0xc3, 0x28, 0x9b],
            status: Some(u32::MAX),
        },
    ];
    for way in ways {
        let ran = Two::with(way).plan();
        assert_eq!(ran.status, SOMETHING_FAILED, "{}", ran.said());
        assert_eq!(ran.holds("evil"), Some(false), "{}", ran.said());
    }
}

/// Everything is refused with this text.
fn refused(script: &Script, honest: &[Printed], text: &str) -> Reply {
    let all = honest.iter().map(|_| Printed { out: text.to_owned(), err: text.to_owned(), status: 1 });
    script.printed(&all.collect::<Vec<_>>())
}

/// How many of these ways got a password as far as the screen, where it is masked. Some answers are never shown at all.
fn hidden(ways: &[Hostile]) -> usize {
    ways.iter().filter(|way| Two::with(**way).plan().out.contains("(secret)")).count()
}

#[test]
fn a_node_that_refuses_with_the_passwords_it_was_sent_does_not_get_them_shown() {
    let ways: [Hostile; 2] = [
        |_, sent, script, honest| refused(script, honest, &format!("{}\n{}", sent.input, sent.passwords.join(" "))),
        // Inside a longer word.
        |_, sent, script, honest| refused(script, honest, &format!("x{}x", sent.passwords.join("xx"))),
    ];
    assert_eq!(hidden(&ways), 2);
}

#[test]
fn a_node_that_answers_with_the_passwords_it_was_sent_does_not_get_them_shown() {
    let ways: [Hostile; 4] = [
        |_, sent, script, honest| script.printed(&with_words(honest, 0, &sent.passwords)),
        |_, sent, script, honest| script.printed(&with_words(honest, 1, &sent.passwords)),
        |_, sent, script, honest| script.printed(&with_words(honest, 2, &sent.passwords)),
        |_, sent, script, honest| script.printed(&with_words(honest, 3, &sent.passwords)),
    ];
    assert!(hidden(&ways) > 0);
}

#[test]
fn a_password_in_a_good_answer_is_masked_on_the_screen_in_json_and_in_the_journal() {
    // What the kernel lacks is listed as the node has it.
    let way: Hostile = |_, sent, script, honest| {
        let said = |(piece, honest): (&String, &Printed)| match piece.contains("cgroup.controllers") {
            true => Printed { out: sent.passwords.join("\n"), err: String::new(), status: 0 },
            false => honest.clone(),
        };
        script.printed(&script.pieces.iter().zip(honest).map(said).collect::<Vec<_>>())
    };
    let two = Two::with(way);
    for format in [&[][..], &["--json"]] {
        let ran = two.operator.run(&[&["plan", STAGES[0], STAGES[1]], format].concat(), &[]);
        assert!(ran.out.contains("the kernel of evil lacks (secret)"), "{}", ran.said());
        assert!(ran.journal.iter().any(|event| event.to_string().contains("lacks (secret)")), "{:?}", ran.journal);
    }
}

#[test]
fn a_bmc_that_repeats_the_password_it_was_sent_does_not_get_it_shown() {
    let way = |sent: &Sent, script: &Script, honest: &[Printed]| refused(script, honest, &sent.passwords.join(" "));
    let bmc = Node::start(honest("k3s-none"), Sudo::Free, way);
    let mut operator = Operator::new();
    operator.hides(LOGIN);
    operator.file(
        "site/hosts.yml",
        &format!(
            "controller:\n  hosts:\n    localhost:\n      ansible_connection: local\nturing_pis:\n  hosts:\n    pi:\n      \
             ansible_host: 127.0.0.1\n      ansible_port: {}\n      ansible_password: {LOGIN}\npi_nodes:\n  hosts:\n    \
             node01:\n      slot_num: 1\n      type: rk1\nall_nodes:\n  children:\n    pi_nodes:\n",
            bmc.port
        ),
    );
    operator
        .file("site/group_vars/all.yml", "control_plane: node01\ncluster_domain: example.org\nbmc_interface: tpi\n");
    operator.file("home/.ssh/known_hosts", &bmc.known_hosts_line());
    // These show faults without events.
    for command in [["power", "status"].as_slice(), &["console"]] {
        let ran = operator.run(&[command, &["node01"]].concat(), &[]);
        assert_eq!(ran.status, SOMETHING_FAILED, "{}", ran.said());
        assert!(bmc.passwords().contains(&LOGIN.to_owned()), "it had the password to show: {}", ran.said());
        assert!(ran.err.contains("(secret)"), "it came, and was hidden: {}", ran.said());
    }
}

/// What a node says is read up to a bound, and what is shown of it is short.
fn flood_is_cut_off(way: Hostile) {
    let ran = Two::with(way).plan();
    assert_eq!(ran.status, SOMETHING_FAILED, "{}", ran.said());
    assert!(ran.out.len() < 1 << 20, "{} bytes of output", ran.out.len());
}

#[test]
fn a_flood_of_lines_is_cut_off() {
    flood_is_cut_off(|_, _, _, _| Reply::Ends { out: vec![b'\n'; 16 << 20], err: Vec::new(), status: Some(0) });
}

#[test]
fn a_flood_without_a_line_is_cut_off() {
    flood_is_cut_off(|_, _, script, honest| {
        let piece = Printed { out: "A".repeat((8 << 20) / honest.len()), err: String::new(), status: 0 };
        script.printed(&vec![piece; honest.len()])
    });
}

#[test]
fn an_answer_without_an_end_holds_up_nobody_else() {
    let endless: [Hostile; 2] = [|_, _, _, _| Reply::Endless(&[b'A'; 32 << 10]), |_, _, _, _| Reply::Nothing];
    for way in endless {
        let two = Two::with(way);
        let ran = two.operator.run_until(&["plan", STAGES[0], STAGES[1]], &[], |running| {
            running.waits_for(r#""event":"lane_ended","lane":"good""#);
            running.interrupt();
        });
        assert_eq!(ran.status, Some(130), "{}", ran.said());
        assert_eq!(ran.holds("good"), Some(true), "{}", ran.said());
    }
}

/// What a node that joins is sent: a token of the control plane's, and the configuration that it had.
const TOKEN: &str = "K100000000000000000000000000000000000000000000000000000000000000000::server:recorded";
const CONFIGURED: &str = "c0nfig-Sesame";

#[test]
fn a_node_that_shows_what_an_action_brought_does_not_get_it_shown() {
    let worker = || {
        honest("k3s-none")
            .with("k3s-kept$config", format!("agent-token: '{CONFIGURED}'\n."), 0)
            .with("/dev/tcp/", "", 0)
            .with("then echo there", "there", 0)
            .with("sha256sum-$arch.txt", "", 0)
    };
    // It gets as far as the installation, and then says again what came.
    let way: Hostile =
        |_, sent, script, honest| match script.pieces.iter().any(|piece| piece.contains("unit=k3s-agent\nversion=")) {
            true => {
                let lines = sent.input.lines().filter(|line| line.contains("::server:") || line.contains(CONFIGURED));
                refused(
                    script,
                    honest,
                    &lines.chain(sent.passwords.iter().map(String::as_str)).collect::<Vec<_>>().join("\n"),
                )
            }
            false => honestly(sent, script, honest),
        };
    let mut two = Two::of(worker(), Sudo::Asks, way);
    two.operator.hides(TOKEN);
    two.operator.hides(CONFIGURED);
    let ran = two.operator.run(&["apply", "-y", "--tags", "k3s", "--limit", "evil"], &[]);
    assert_eq!(ran.status, SOMETHING_FAILED, "{}", ran.said());
    for secret in [TOKEN, CONFIGURED] {
        assert!(
            two.evil.sent().iter().any(|sent| sent.input.contains(secret)),
            "it had {secret} to show: {}",
            ran.said()
        );
    }
}

#[test]
fn a_sudo_that_refuses_is_given_the_password_once() {
    for sudo in [Sudo::AsksAgain, Sudo::AsksOnce] {
        let two = Two::of(honest("k3s-agent"), sudo, honestly_told);
        let ran = two.operator.run(&["plan", STAGES[0], STAGES[1]], &[]);
        assert_eq!((ran.status, ran.holds("good")), (SOMETHING_FAILED, Some(true)), "{}", ran.said());
        assert_eq!(two.evil.passwords().iter().filter(|password| *password == SUDO).count(), 1, "{}", ran.said());
        assert!(ran.out.contains("sudo rejected the password"), "{}", ran.said());
    }
}

fn honestly_told(_: &str, sent: &Sent, script: &Script, honest: &[Printed]) -> Reply {
    honestly(sent, script, honest)
}
