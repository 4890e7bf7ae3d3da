//! Agents that do not join, for each reason that their journals know, and nodes that are slow.

use super::Cluster;
use crate::bed::Bed;

const VERSION: &str = "v1.35.4+k3s1";

/// Installs an agent as somebody else would, by the script alone, after something else was done there.
fn install_agent(bed: &Bed, host: &str, before: &str, server: &str, token: &str) {
    let mirror = format!("http://{}:8917/k3s", bed.gateway());
    bed.shell(
        host,
        &format!(
            "{before}\ncurl -sSf {mirror}/install.sh > /root/install.sh\n\
             INSTALL_K3S_VERSION={VERSION} INSTALL_K3S_ARTIFACT_URL={mirror}/releases/download INSTALL_K3S_SKIP_START=true K3S_URL={server} \
             K3S_TOKEN={token} sh /root/install.sh\nsystemctl start --no-block k3s-agent"
        ),
    );
}

#[test]
#[ignore = "needs root and real hosts"]
fn agents_that_never_register_are_told_why() {
    let cluster = Cluster::of("cluster-agents", &["--nodes", "3"], &super::THREE, super::BARE);
    for words in
        [["--limit", "all", "--tags", "tools,known_hosts,servers"], ["--limit", "node01", "--tags", "tools,k3s"]]
    {
        let first = cluster.apply(&words);
        assert!(first.converged(), "{:#?}\n{}", first.troubles(), first.stderr);
    }
    let bed = &cluster.bed;
    let address = bed.shell("node01", "ip -o -4 address show dev host0 | sed 's/.*inet //; s,/.*,,; q'");
    let (server, dead) = (format!("https://{address}:6443"), format!("https://{address}:7777"));
    let good = bed.shell("node01", "cat /var/lib/rancher/k3s/server/node-token");
    let other = format!("K10{}::server:secret", "0".repeat(64));
    let setting = "mkdir -p /etc/rancher/k3s; echo 'node-lable: [a=b]' > /etc/rancher/k3s/config.yaml";
    let template = "cd /var/lib/rancher/; mkdir -p k3s/agent/etc/containerd; cd k3s/agent/etc/containerd\n\
                    printf '{{ template \"base\" . }}\\n[[[\\n' > config-v3.toml.tmpl";
    for (what, before, server, token, said, likely) in [
        ("a wrong token", "", &server, "wrong", "not authorized", "the token is not that of this control plane"),
        ("another authority", "", &server, other.as_str(), "CA hash", "the token belongs to another cluster"),
        ("a dead server", "", &dead, good.as_str(), "CA certs", "nothing answers at the control plane's address"),
        ("a setting", setting, &server, good.as_str(), "flag provided but not defined: -node-lable", "is misspelt"),
        (
            "a template",
            template,
            &server,
            good.as_str(),
            "containerd: failed to load TOML",
            "rejects its configuration",
        ),
    ] {
        install_agent(bed, "node02", before, server, token);
        let ran = cluster.apply(&["--limit", "node02", "--tags", "k3s"]);
        let fault = ran.fault("node02/k3s_agent", &["timed_out", "failed"]);
        assert!(fault["said"].to_string().contains(said), "{what}: {fault:#}");
        assert!(fault["likely"].to_string().contains(likely), "{what}: {fault:#}");
        bed.shell("node02", "/usr/local/bin/k3s-agent-uninstall.sh");
    }

    // The cluster remembers another machine by the name: its Node goes with approval, and not without.
    install_agent(bed, "node02", "", &server, &good);
    cluster.until(&["get", "node/node02", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}"], "True");
    bed.shell(
        "node02",
        "systemctl stop k3s-agent; rm /etc/rancher/node/password; systemctl start --no-block k3s-agent",
    );
    cluster
        .until(&["get", "node/node02", "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}"], "Unknown");
    let asked = cluster.controller.run(&["apply", "--limit", "node02", "--tags", "k3s"]);
    assert_ne!(asked.status, 0);
    assert!(asked.hazards().iter().any(|hazard| hazard.contains("Node node02")), "{:#?}", asked.hazards());
    let ran = cluster.apply(&["--limit", "node02", "--tags", "k3s"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
}

#[test]
#[ignore = "needs root and real hosts"]
fn what_is_slow_is_waited_for_and_what_is_missing_is_told() {
    let cluster = Cluster::bare("cluster-slow");
    let bed = &cluster.bed;
    // The kubelet stands still, and goes on while we wait.
    let signal = |name: &str| {
        format!(
            "for at in /proc/[0-9]*; do [ \"$(cat $at/comm)\" = kubelet ] && kill -{name} ${{at#/proc/}}; done; true"
        )
    };
    let start = cluster.start_of_k3s("node02");
    bed.shell("node02", &signal("STOP"));
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    cluster.until(&["get", "node/node02", "-o", ready], "Unknown");
    let mut waits = false;
    let ran = cluster.controller.watch(&["apply", "-y"], |event| {
        let now = event["event"] == "waiting"
            && event["awaited"] == serde_json::json!({"kind": "node_ready", "node": "node02"});
        if now && !waits {
            bed.shell("node02", &signal("CONT"));
        }
        waits |= now;
    });
    assert!(waits, "it never waited for the Node: {:#?}", ran.troubles());
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(cluster.start_of_k3s("node02"), start, "it was restarted for nothing");

    // An API that does not answer: told, and nothing else is done.
    let server = "for at in /proc/[0-9]*; do [ \"$(cat $at/comm)\" = kube-apiserver ] && kill -";
    bed.shell("node01", &format!("{server}STOP ${{at#/proc/}}; done; true"));
    let ran = cluster.apply(&[]);
    bed.shell("node01", &format!("{server}CONT ${{at#/proc/}}; done; true"));
    assert_ne!(ran.status, 0);
    assert!(!ran.events.iter().any(|event| event["event"] == "action_started"), "{:#?}", ran.troubles());
    cluster.until(&["get", "--raw", "/readyz"], "ok");
    cluster.settles();
    cluster.changes_nothing();

    // A token that is not there is waited for, and then told.
    let directory = "/var/lib/rancher/k3s/server";
    bed.shell(
        "node01",
        &format!("cd {directory}; mkdir /root/kept; mv -f node-token token agent-token /root/kept/ 2>/dev/null || :"),
    );
    let ran = cluster.apply(&["-e", "k3s_force=true", "--limit", "node03", "--tags", "k3s"]);
    let fault = ran.fault("node03/k3s_agent", &["timed_out"]);
    assert!(fault.to_string().contains("join token"), "{fault:#}");
    bed.shell("node01", &format!("mv /root/kept/* {directory}/"));
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
}
