//! A cluster that is kept: drained for reboots, installed anew in part or from its control plane on.

use std::fs;

use age::secrecy::ExposeSecret;
use age::x25519::Identity;

use super::Cluster;

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: 'testbed.lan/busybox:1.35', command: [sleep, '100000']}]
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: web}}}
";

const BUDGET: &str = "
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec: {maxUnavailable: 0, selector: {matchLabels: {app: web}}}
";

const SEALED_KEY: &str = "
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata:
  {name: sealed-secrets-keyabc, namespace: kube-system, labels: {sealedsecrets.bitnami.com/sealed-secrets-key: active}}
data: {tls.crt: Y2VydA==, tls.key: a2V5}
";

/// The site has somebody who can read backups of sealed-secrets' keys, and they are here.
fn sealed_keys_are_for_us(cluster: &Cluster) {
    let (identity, file) = (Identity::generate(), cluster.controller.file("identity"));
    fs::write(&file, identity.to_string().expose_secret()).unwrap();
    let settings = format!(
        "\nsealed_secrets_recipients: [{}]\nsealed_secrets_identity: {}\n",
        identity.to_public(),
        file.display()
    );
    let variables = cluster.controller.site().join("group_vars/all.yml");
    fs::write(&variables, fs::read_to_string(&variables).unwrap() + &settings).unwrap();
}

fn is_schedulable(cluster: &Cluster, node: &str) -> bool {
    cluster.kubectl(&["get", "node", node, "-o", "jsonpath={.spec.unschedulable}"]).is_empty()
}

fn replicas(cluster: &Cluster) {
    cluster.until(&["get", "deployment/web", "-o", "jsonpath={.status.readyReplicas}"], "2");
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_worker_is_drained_for_its_reboot_and_budgets_are_respected() {
    let cluster = Cluster::bare("cluster-drain");
    cluster.write(WEB);
    replicas(&cluster);
    let pods = ["get", "pods", "-l", "app=web", "--field-selector", "spec.nodeName=node02", "-o", "name"];
    assert_ne!(cluster.kubectl(&pods), "", "nothing runs on node02");
    let before = cluster.bed.boot_id("node02");
    cluster.bed.shell("node02", "touch /run/reboot-required");
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_ne!(cluster.bed.boot_id("node02"), before);
    let actions = ran.events.iter().filter(|event| event["event"] == "action_started");
    let actions: Vec<_> = actions.filter_map(|event| event["action"]["kind"].as_str()).collect();
    let at = |kind: &str| {
        actions.iter().position(|action| *action == kind).unwrap_or_else(|| panic!("{kind}: {actions:#?}"))
    };
    assert!(at("cordon") < at("drain") && at("drain") < at("reboot") && at("reboot") < at("uncordon"), "{actions:#?}");
    assert!(is_schedulable(&cluster, "node02"));
    replicas(&cluster);

    // Whoever has cordoned a node keeps it so.
    cluster.kubectl(&["cordon", "node02"]);
    cluster.bed.shell("node02", "touch /run/reboot-required");
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert!(!is_schedulable(&cluster, "node02"));
    cluster.kubectl(&["uncordon", "node02"]);

    cluster.write(BUDGET);
    let busy = cluster.kubectl(&["get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].spec.nodeName}"]);
    let before = cluster.bed.boot_id(&busy);
    cluster.bed.shell(&busy, "touch /run/reboot-required");
    let ran = cluster.apply(&[]);
    let reboot = format!("{busy}/reboot");
    assert_eq!(ran.outcome(&reboot), "blocked", "{:#?}", ran.troubles());
    let carried = ran.carried(&reboot);
    assert!(carried["why"].to_string().contains("disruption budget web"), "{carried:#}");
    assert!(carried["next"].to_string().contains("budget"), "{carried:#}");
    assert_eq!(cluster.bed.boot_id(&busy), before);
    replicas(&cluster);
    assert!(is_schedulable(&cluster, &busy), "what was cordoned for nothing is not left so");
    cluster.kubectl(&["delete", "pdb/web"]);
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    cluster.changes_nothing();

    // k3s renders a table for NVIDIA's runtime as soon as its program is there, and containerd refuses a second one.
    let with_gpu = ["--limit", "node03", "-e", "nvidia_gpu_node=true"];
    let ran = cluster.apply(&with_gpu);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(ran.outcome("node03/nvidia_runtime"), "changed");
    let config = cluster.bed.shell("node03", "cat /var/lib/rancher/k3s/agent/etc/containerd/config.toml");
    assert_eq!(config.matches("runtimes.'nvidia']").count(), 1, "{config}");
    assert_eq!(config.matches("default_runtime_name = \"nvidia\"").count(), 1, "{config}");
    assert!(cluster.apply(&with_gpu).changed_nothing());
}

#[test]
#[ignore = "needs root and real hosts"]
fn k3s_is_installed_anew_where_it_is_named() {
    let cluster = Cluster::bare("cluster-force");
    // What an agent reads is newer than itself: it is started again, and is at work again when the run says so.
    let start = cluster.start_of_k3s("node02");
    cluster.bed.shell("node02", "printf 'kubelet-arg:\n- max-pods=99\n' >> /etc/rancher/k3s/config.yaml");
    let ran = cluster.apply(&["--limit", "node02"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(ran.outcome("node02/k3s_agent"), "changed");
    assert_ne!(cluster.start_of_k3s("node02"), start);
    assert_eq!(cluster.bed.shell("node02", "systemctl is-active k3s-agent"), "active");
    cluster.changes_nothing();

    // All of its configuration is gone, the password of its Node too: other marks still say whose it is.
    cluster.bed.shell("node02", "rm -rf /etc/rancher; systemctl restart --no-block k3s-agent");
    let ran = cluster.apply(&["--limit", "node02"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert!(ran.hazards().iter().any(|hazard| hazard.contains("Node node02")), "{:#?}", ran.hazards());
    cluster.changes_nothing();

    let others = ["node01", "node02"].map(|host| cluster.start_of_k3s(host));
    let third = cluster.start_of_k3s("node03");
    // A release that is not to be had is found missing before anything is deleted for it.
    let force = ["-e", "k3s_force=true", "--limit", "node03"];
    let ran = cluster.apply(&[&force[..], &["-e", "k3s_version=v1.35.9+k3s1"]].concat());
    let fault = ran.fault("node03/k3s_agent", &["failed"]);
    assert!(fault["said"].to_string().contains("failed to fetch"), "{fault:#}");
    assert_eq!(cluster.start_of_k3s("node03"), third);
    assert_eq!(cluster.kubectl(&["get", "node/node03", "-o", "name"]), "node/node03");

    // What a person may have put there stays.
    let mine = [
        "/etc/rancher/k3s/registries.yaml",
        "/etc/rancher/k3s/config.yaml.d/50 mine.yaml",
        "/var/lib/rancher/k3s/agent/images/mine.txt",
    ];
    for path in mine {
        let directory = path.rsplit_once('/').unwrap().0;
        cluster.bed.shell("node03", &format!("mkdir -p '{directory}'; echo '# mine' > '{path}'"));
    }
    let ran = cluster.apply(&force);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_ne!(cluster.start_of_k3s("node03"), third);
    for path in mine {
        assert_eq!(cluster.bed.shell("node03", &format!("cat '{path}'")), "# mine", "{path}");
    }
    assert_eq!(["node01", "node02"].map(|host| cluster.start_of_k3s(host)), others);
    cluster.changes_nothing();

    cluster.bed.shell("node01", "printf 'kubelet-arg:\\n- max-pods=99\\n' >> /etc/rancher/k3s/config.yaml");
    cluster.write(SEALED_KEY);
    sealed_keys_are_for_us(&cluster);
    let ran = cluster.apply(&["-e", "k3s_force=true", "--limit", "node01"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    let kept = cluster.bed.shell("node01", "cat /etc/rancher/k3s/config.yaml");
    assert!(kept.contains("max-pods=99"), "the user's lines are gone:\n{kept}");
    let snapshots = fs::read_dir(cluster.controller.site().join(".bringup/snapshots")).unwrap();
    let sizes: Vec<u64> = snapshots.map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.iter().any(|size| *size > 100_000), "no snapshot: {sizes:?}");
    // The workers know another cluster: they are given the token of this one. Sealed-secrets' keys come back with the
    // stage `cluster`, which a run with a limit leaves alone.
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(cluster.kubectl(&["get", "nodes", "-o", "name"]).lines().count(), 3);
    let key = ["-n", "kube-system", "get", "secret/sealed-secrets-keyabc", "-o", "jsonpath={.data.tls\\.key}"];
    assert_eq!(cluster.kubectl(&key), "a2V5", "what was sealed cannot be read any more");
    cluster.changes_nothing();
    a_newer_release_replaces_the_binary(&cluster);
}

/// The control plane comes first and all are restarted. A site that states an older release afterwards is refused.
fn a_newer_release_replaces_the_binary(cluster: &Cluster) {
    let hosts = ["node01", "node02", "node03"];
    let newer = ["-e", "k3s_version=v1.35.5+k3s1"];
    let starts = hosts.map(|host| cluster.start_of_k3s(host));
    let ran = cluster.apply(&newer);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    let started = |host: &str| -> u64 {
        let unit = if host == "node01" { "k3s" } else { "k3s-agent" };
        let show = format!("systemctl show --property=ExecMainStartTimestampMonotonic --value {unit}");
        cluster.bed.shell(host, &show).parse().unwrap()
    };
    for (host, before) in hosts.iter().zip(&starts) {
        assert!(cluster.bed.shell(host, "k3s --version").starts_with("k3s version v1.35.5+k3s1"), "{host}");
        assert_ne!(cluster.start_of_k3s(host), *before, "{host}");
    }
    assert!(started("node01") < started("node02").min(started("node03")), "a worker was newer than its control plane");
    let starts = hosts.map(|host| cluster.start_of_k3s(host));
    assert!(cluster.apply(&newer).changed_nothing());
    let back = cluster.apply(&["-e", "k3s_version=v1.35.4+k3s1"]);
    assert_ne!(back.status, 0);
    let refuses = |event: &serde_json::Value| event.to_string().contains("the site states the older v1.35.4+k3s1");
    assert!(back.events.iter().any(refuses), "{}", back.stderr);
    assert_eq!(hosts.map(|host| cluster.start_of_k3s(host)), starts);
}
