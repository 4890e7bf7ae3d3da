//! What releases of today do otherwise than the recorded one, and how a release comes from the mirror.

use std::time::Duration;

use crate::bed::Bed;
use crate::wait;

const OLDER: &str = "v1.34.6+k3s1";
const NEWER: &str = "v1.35.4+k3s1";

/// Waits until a host's journal of a unit has a line of this.
fn says(bed: &Bed, host: &str, unit: &str, text: &str) {
    wait::until(Duration::from_secs(60), &format!("{unit} on {host} to say {text}"), || {
        let journal = bed.shell(host, &format!("journalctl --quiet --output=cat --unit={unit}"));
        wait::so(journal.contains(text), || journal)
    });
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_release_is_fetched_checked_and_replaced_and_an_agent_of_today_waits_to_join() {
    let bed = Bed::up("k3s-release", &["--nodes", "2", "--kubernetes"]);
    let mirror = format!("http://{}:8917/k3s", bed.gateway());
    let install_by = |script: &str, host: &str, variables: &str, arguments: &str| {
        bed.tried(
            host,
            &format!("curl -sSf {mirror}/{script} > /root/install.sh\n{variables} sh /root/install.sh {arguments}"),
        )
    };
    let install = |host: &str, variables: &str, arguments: &str| install_by("install.sh", host, variables, arguments);

    // Before `/download` there is nothing for a script of today, whose `+` is `%2B`.
    let wrong = format!("INSTALL_K3S_VERSION={OLDER} INSTALL_K3S_ARTIFACT_URL={mirror}/releases");
    let (exit, said) = install("node01", &wrong, "server");
    let words = "releases/v1.34.6%2Bk3s1/sha256sum-amd64.txt\n[ERROR]  Download failed\n";
    assert!(exit == 1 && said.ends_with(words), "{said}");
    assert_eq!(bed.shell("node01", "ls /usr/local/bin /etc/systemd/system | grep k3s || true"), "");

    let images = "k3s-airgap-images-amd64.tar.zst";
    bed.shell(
        "node01",
        &format!(
            "mkdir -p /var/lib/rancher/k3s/agent/images\n\
             curl -sSf {mirror}/releases/download/{OLDER}/{images} > /var/lib/rancher/k3s/agent/images/{images}"
        ),
    );
    // As bringup gives them, so that scripts of both generations find them.
    let from = |version: &str| {
        format!(
            "INSTALL_K3S_VERSION={version} GITHUB_URL={mirror}/releases \
             INSTALL_K3S_ARTIFACT_URL={mirror}/releases/download"
        )
    };
    let flags = "INSTALL_K3S_EXEC=\"--disable=traefik --node-label a=b\"";
    let (exit, said) =
        install_by("install-2025.sh", "node01", &format!("{} {flags}", from(OLDER)), "--flannel-iface host0");
    assert!(exit == 0 && said.contains("download/v1.34.6+k3s1/k3s\n") && !said.contains("[WARN]"), "{said}");
    let unit = bed.shell("node01", "cat /etc/systemd/system/k3s.service");
    let words = "k3s \\\n    server \\\n\t'--disable=traefik' \\\n\t'--node-label' \\\n\t'a=b' \\\n\t'--flannel-iface' \\\n\t'host0' \\";
    assert!(unit.ends_with(words), "{unit}");
    says(&bed, "node01", "k3s", &format!("Imported images from /var/lib/rancher/k3s/agent/images/{images}"));

    // Another release on the disk is not another one that runs.
    let started = "systemctl show --property=InvocationID --value k3s";
    let before = bed.shell("node01", started);
    let (exit, said) = install("node01", &format!("{} INSTALL_K3S_SKIP_START=true", from(NEWER)), "server");
    assert!(exit == 0 && said.contains("Verifying binary download") && !said.contains("Starting"), "{said}");
    assert!(said.contains("[WARN]  GITHUB_URL does not work anymore."), "{said}");
    assert!(bed.shell("node01", "k3s --version").starts_with(&format!("k3s version {NEWER}")));
    assert_eq!(bed.shell("node01", started), before);

    // Its start would never come back: it is ordered, and not waited for.
    let join = format!("{} K3S_URL=https://$server:6443 K3S_TOKEN=wrong INSTALL_K3S_SKIP_START=true", from(NEWER));
    let server = bed.shell("node01", "ip -o -4 address show dev host0 | sed 's/.*inet //; s,/.*,,; q'");
    let (exit, said) = install("node02", &join.replace("$server", &server), "");
    assert_eq!(exit, 0, "{said}");
    let environment = bed.shell("node02", "cat /etc/systemd/system/k3s-agent.service.env");
    assert_eq!(environment, format!("K3S_TOKEN='wrong'\nK3S_URL='https://{server}:6443'"));
    bed.shell("node02", "systemctl start --no-block k3s-agent");
    let words = "level=info msg=\"Waiting to retrieve agent configuration; server is not ready: failed to retrieve \
                 configuration from server: not authorized\"";
    says(&bed, "node02", "k3s-agent", words);
    let state = bed.shell("node02", "systemctl show --property=Type,ActiveState,NRestarts --value k3s-agent");
    assert_eq!(state.lines().collect::<Vec<_>>(), ["notify", "0", "activating"]);
}
