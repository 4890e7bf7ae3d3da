//! What goes wrong on hosts: each ends in one fault that helps, or is overcome, and never takes another host along.

use crate::bed::Bed;
use crate::controller::{Controller, Ran};

const HOSTS: [(&str, &str); 2] = [("node01", ""), ("node02", "")];

/// Two hosts that are as they should be; `node01` is the one that something happens to.
struct Prepared {
    bed: Bed,
    controller: Controller,
}

impl Prepared {
    fn new(name: &str) -> Self {
        let bed = Bed::up(name, &["--nodes", "2"]);
        let controller = Controller::new(&bed, &HOSTS, "");
        let ran = controller.apply(&[]);
        assert!(ran.converged(), "{:#?}", ran.troubles());
        Self { bed, controller }
    }

    /// Both hosts get something to do, and then this one breaks.
    fn with(&self, what: &str) -> Ran {
        self.with_words(what, &[])
    }

    /// The same, by a run with these words.
    fn with_words(&self, what: &str, words: &[&str]) -> Ran {
        for (host, _) in HOSTS {
            self.bed.shell(host, "apt-get -q -y purge original-awk");
        }
        self.bed.break_it("node01", what);
        let ran = self.controller.apply(words);
        assert_eq!(ran.outcome("node02/packages"), "changed", "{what}: {:#?}", ran.troubles());
        ran
    }

    /// Fixed, it is as it should be after one more run, with nothing left half-written.
    fn fix(&self, what: &str) {
        self.bed.fix("node01", what);
        let ran = self.controller.apply(&[]);
        assert!(ran.converged(), "{what}, fixed: {:#?}", ran.troubles());
        let left =
            self.bed.shell("node01", "find /etc/apt /usr/share/keyrings /var/lib/bringup -name '*.??????' -type f");
        assert_eq!(left, "", "{what}: left behind");
        let ran = self.controller.apply(&[]);
        assert!(ran.changed_nothing(), "{what}, again: {ran:#?}");
    }

    fn is_overcome(&self, what: &str) -> Ran {
        let ran = self.with(what);
        assert!(ran.converged(), "{what}: {:#?}", ran.troubles());
        self.fix(what);
        ran
    }
}

#[test]
#[ignore = "needs root and real hosts"]
fn hosts_that_are_odd_are_prepared_all_the_same() {
    let hosts = Prepared::new("odd");
    for what in ["noisy-shell", "fish-shell", "dumb-term", "clock-off"] {
        hosts.is_overcome(what);
    }
    let ran = hosts.is_overcome("half-configured");
    assert_eq!(ran.outcome("node01/configured"), "changed");
}

#[test]
#[ignore = "needs root and real hosts"]
fn an_apt_lock_is_waited_for() {
    let hosts = Prepared::new("apt-lock");
    hosts.is_overcome("apt-lock");
}

#[test]
#[ignore = "needs root and real hosts"]
fn hosts_that_cannot_be_reached_are_told_of() {
    let hosts = Prepared::new("reached");
    let ran = hosts.with("refuse-ssh");
    ran.fault("node01/known_host", &["unreachable"]);
    hosts.fix("refuse-ssh");

    let ran = hosts.with("wrong-dns");
    let fault = ran.fault("node01/known_host", &["unresolved"]);
    assert!(fault["likely"].to_string().contains("local_domain"), "{fault:#}");
    hosts.fix("wrong-dns");

    let ran = hosts.with("close-mid-command");
    ran.fault("node01/earlier_work", &["lost"]);
    hosts.fix("close-mid-command");

    let ran = hosts.with("changed-host-key");
    assert_eq!(ran.outcome("node01/known_host"), "blocked");
    let reason = ran.carried("node01/known_host");
    assert_eq!(reason["why"].to_string().matches("SHA256:").count(), 2, "{reason:#}");
    assert!(reason["next"].to_string().contains("--accept-changed-host-keys"), "{reason:#}");
    let ran = hosts.controller.apply(&["--accept-changed-host-keys"]);
    assert!(ran.converged(), "{:#?}", ran.troubles());
    assert_eq!(ran.outcome("node01/known_host"), "changed");
}

#[test]
#[ignore = "needs root and real hosts"]
fn hosts_that_do_not_let_us_work_are_told_of() {
    let hosts = Prepared::new("work");
    let ran = hosts.with("no-sudo");
    ran.fault("node01/earlier_work", &["refused"]);
    hosts.fix("no-sudo");

    let ran = hosts.with("sudo-password");
    let fault = ran.fault("node01/earlier_work", &["refused"]);
    assert!(fault["next"].to_string().contains("-K"), "{fault:#}");
    hosts.fix("sudo-password");

    for what in ["full-disk", "read-only-root"] {
        let ran = hosts.with(what);
        assert_eq!(ran.status, 1);
        let troubles = ran.troubles();
        let (step, _) = troubles.iter().find(|(_, outcome)| outcome.get("failed").is_some()).unwrap();
        assert!(step.starts_with("node01/"), "{troubles:#?}");
        let fault = ran.fault(step, &["failed", "passing"]);
        let said = fault["said"].to_string().to_lowercase();
        assert!(said.contains("space") || said.contains("read-only"), "{fault:#}");
        hosts.fix(what);
    }
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_root_device_that_is_not_there_is_told_of_before_anything_happens() {
    let bed = Bed::up("no-disk", &["--nodes", "2"]);
    let controller =
        Controller::new(&bed, &[("node01", "slot_num: 1, type: rk1, root_dev: /dev/nvme9n1"), ("node02", "")], "");
    let ran = controller.apply(&[]);
    assert_eq!(ran.outcome("node01/root_device"), "blocked", "{:#?}", ran.troubles());
    assert!(ran.carried("node01/root_device")["why"].to_string().contains("/dev/nvme9n1"));
    assert_eq!(ran.outcome("node02/packages"), "changed");
}

#[test]
#[ignore = "needs root and real hosts"]
fn reboots_that_do_not_happen_or_do_not_end_are_told_of() {
    let hosts = Prepared::new("reboots");
    // Only for a boot that does not come: one that does takes as long as it takes.
    let soon = ["-e", "reboot_timeout=40"];
    let wants = || {
        hosts.bed.shell("node01", "touch /run/reboot-required");
    };
    wants();
    let ran = hosts.with_words("no-reboot", &soon);
    let fault = ran.fault("node01/reboot", &["passing"]);
    assert!(fault["said"].to_string().contains("same boot id"), "{fault:#}");
    hosts.fix("no-reboot");
    wants();
    let ran = hosts.with_words("no-return", &soon);
    let fault = ran.fault("node01/reboot", &["timed_out"]);
    assert!(fault["next"].to_string().contains("console"), "{fault:#}");
    hosts.fix("no-return");
}
