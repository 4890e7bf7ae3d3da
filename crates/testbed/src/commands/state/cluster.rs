//! The cluster, asked from its control plane.

use super::{Deadline, Part};
use crate::failure::Failure;
use crate::host::guest;
use crate::testbed::{Host, Place, Testbed};

/// How many lines of one part are printed, with a heading for columns.
pub const LINES: usize = 41;

const APPLICATIONS: &str = r#"jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name}: {.status.sync.status}, {.status.health.status}{"\n"}{range .status.conditions[*]}  {.type}: {.message}{"\n"}{end}{range .status.operationState}  operation {.phase}: {.message}{"\n"}{end}{end}"#;

/// What state it is in.
pub fn look(testbed: &Testbed, deadline: Deadline) -> Vec<Part> {
    let Some(server) = testbed.hosts.iter().find(|host| is_server(testbed, host, deadline)) else {
        return vec![Part::new("the cluster", Err(Failure::new("ask it", "no host that is on has k3s' server")))];
    };
    let ask = |words: &str| match deadline.seconds(6) {
        Some(seconds) => guest::look(testbed, server, &format!("k3s kubectl --request-timeout=5s {words}"), seconds),
        None => Err(Failure::new("ask the cluster", "all the time is over")),
    };
    vec![
        Part::new("nodes", ask("get nodes --output wide")),
        Part::new("pods that are not well", ask("get pods --all-namespaces --output wide").map(|pods| not_well(&pods))),
        Part::new("the last events", ask("events --all-namespaces")),
        Part::new(
            "applications of Argo CD",
            ask(&format!("get applications.argoproj.io --all-namespaces --output '{APPLICATIONS}'")),
        ),
    ]
}

fn is_server(testbed: &Testbed, host: &Host, deadline: Deadline) -> bool {
    let script = "test ! -e /etc/rancher/k3s/k3s.yaml || echo server";
    let asked = deadline.seconds(2).filter(|_| host.place != Place::Bmc);
    asked.is_some_and(|bound| guest::look(testbed, host, script, bound).is_ok_and(|said| said.trim() == "server"))
}

/// Of a table of pods, the heading and those that are neither done nor ready to the last container. What is no table
/// stays as it is: it says why there is none.
fn not_well(pods: &str) -> String {
    let well = |line: &str| {
        let mut words = line.split_whitespace().skip(2);
        let (ready, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let all_ready = ready.split_once('/').is_some_and(|(ready, all)| ready == all);
        status == "Completed" || (status == "Running" && all_ready)
    };
    pods.lines().filter(|line| !well(line)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_are_well_are_left_out() {
        let heading = "NAMESPACE  NAME  READY  STATUS  RESTARTS  AGE\n";
        let well = "a  one  1/1  Running  0  5s\na  two  0/1  Completed  0  5s\n";
        let ill = "a  three  1/2  Running  7 (3s ago)  5s\nb  four  0/1  CrashLoopBackOff  3  5s\nb  five  0/1  Pending  0  1s\n";
        assert_eq!(not_well(&format!("{heading}{well}{ill}")), format!("{heading}{ill}"));
        let refused = "The connection to the server 127.0.0.1:6443 was refused\n";
        assert_eq!(not_well(refused), refused);
    }
}
