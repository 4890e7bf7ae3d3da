//! One host.

use super::{Deadline, Part};
use crate::commands::list;
use crate::failure::Failure;
use crate::host::guest;
use crate::testbed::{Host, Place, Testbed};

/// How many lines of one part are printed.
pub const LINES: usize = 60;

/// What is asked of a host that is on: what it is, how many seconds it may take, and how it is found out.
type Question = (&'static str, u64, &'static str);

const FAILED: Question = ("units that failed", 3, "systemctl --failed --no-pager --no-legend --plain");

const WARNINGS: Question = (
    "warnings in the journal",
    3,
    // The kernel is the machine's, and says this of each mount of every host.
    "journalctl --no-pager --quiet --lines 400 --output short-precise --priority warning |\n  \
     grep -v 'new mount options do not match' | tail -n 60",
);

/// Units that a host does not have are no trouble to journalctl. The pictures of keys that cloud-init draws would leave no
/// room for the rest, nor would what an API server says each second of an etcd that does not notify it of progress.
const UNITS: Question = (
    "the journal of k3s, SSH and cloud-init",
    3,
    "set --\nfor unit in k3s k3s-agent ssh cloud-init; do set -- \"$@\" --unit \"$unit\"; done\n\
     journalctl --no-pager --quiet --lines 2000 --output short-precise \"$@\" |\n  \
     grep -v -e 'cloud-init\\[[0-9]*\\]: [|+]' -e 'stats.go.*Error getting keys' | tail -n 60",
);

const PACKAGES: Question = (
    "processes of apt and dpkg",
    2,
    "for at in /proc/[0-9]*; do\n  read -r name < $at/comm || continue\n  case $name in\n    apt* | dpkg* | unattended-upgr*) \
     echo \"${at#/proc/} $(tr '\\0' ' ' < $at/cmdline)\" ;;\n  esac\ndone 2>/dev/null",
);

/// Containers that are well say little, so all are asked: which one is to blame is not known here.
const CONTAINERS: Question = (
    "the last lines of its containers",
    2,
    "for log in /var/log/pods/*/*/*.log; do\n  [ -e \"$log\" ] || continue\n  echo \"--- ${log#/var/log/pods/}\"; \
     tail -n 8 \"$log\"\ndone",
);

/// Whether each of its pods reaches the API by the address that pods know, and what else that takes.
const PODS: Question = (
    "the way of its pods to the API",
    4,
    "command -v nsenter > /dev/null && [ -e /var/lib/cni ] || exit 0\n\
     echo \"ip_forward $(cat /proc/sys/net/ipv4/ip_forward)\"; ip route\n\
     for pod in /run/netns/cni-*; do\n  [ -e \"$pod\" ] || continue\n  {\n    \
     address=$(nsenter --net=\"$pod\" ip -4 -o address show dev eth0 | tr -s ' ' | cut -d ' ' -f 4)\n    \
     if timeout 2 nsenter --net=\"$pod\" bash -c 'exec 3<>/dev/tcp/10.43.0.1/443'; then echo \"$address reaches it\"; \
     else echo \"$address does not reach it: status $?\"; fi\n  } 2>&1 &\ndone\nwait",
);

/// A BMC runs nobody's packages, and its bmcd keeps a log of its own.
const BMCD: Question = ("the log of bmcd", 2, "tail -n 60 /var/log/bmcd.log");

/// What state it is in.
pub fn look(testbed: &Testbed, host: &Host, deadline: Deadline) -> Vec<Part> {
    let state = list::state_and_faults(testbed, host);
    let on = state.as_ref().is_ok_and(|state| state.first().is_some_and(|word| word != "off"));
    let mut parts = vec![Part::new(&host.name, state.map(|state| state.join(", ")))];
    if !on {
        return parts;
    }
    // What most likely tells why comes first: whoever shows a part of it shows its beginning.
    let questions = match host.place {
        Place::Bmc => [FAILED, BMCD, WARNINGS].to_vec(),
        Place::Alone | Place::Slot { .. } => [CONTAINERS, PODS, FAILED, PACKAGES, WARNINGS, UNITS].to_vec(),
    };
    for (what, wanted, script) in questions {
        let said = match deadline.seconds(wanted) {
            Some(seconds) => guest::look(testbed, host, script, seconds),
            None => Err(Failure::new("look at it", "the host has had all its time")),
        };
        parts.push(Part::new(format!("{}: {what}", host.name), said));
    }
    parts
}
