//! A cluster that somebody made by other means is taken as it is.

use std::fs;

use super::{Cluster, THREE, text};

/// An older release than the one that is the default here.
const VERSION: &str = "v1.34.6+k3s1";
const CHART: &str = "7.8.28";

const VALUES: &str = "
dex: {enabled: false}
configs:
  cm:
    dex.config: |
      connectors: [{type: github, id: github, name: ours}]
";

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: work
clusters: [{name: work, cluster: {server: 'https://192.0.2.1:6443', insecure-skip-tls-verify: true}}]
users: [{name: me, user: {token: abc}}]
contexts: [{name: work, context: {cluster: work, user: me, namespace: mine}}]
";

/// The root application as the playbook writes it, with fields that only its owner knows.
fn applications(repository: &str) -> String {
    format!(
        "
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {{name: kubernetes, namespace: argo-cd}}
spec:
  description: made by a playbook
  sourceRepos: ['*']
  destinations: [{{namespace: '*', server: '*'}}]
  clusterResourceWhitelist: [{{group: '*', kind: '*'}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: all-cluster-services, namespace: argo-cd, labels: {{team: ours}}}}
spec:
  project: kubernetes
  source:
    repoURL: {repository}
    targetRevision: main
    path: kubernetes-services
    helm: {{valuesObject: {{repo_remote: '{repository}', cluster_domain: testbed.example, domain_email: admin@testbed.example}}}}
  destination: {{server: 'https://kubernetes.default.svc', namespace: argo-cd}}
  info: [{{name: owner, value: ours}}]
  syncPolicy: {{automated: {{prune: true, selfHeal: true}}, retry: {{limit: 3, backoff: {{duration: 5s, factor: 3, maxDuration: 1m}}}}}}
"
    )
}

/// k3s as the playbook installs it: by flags in its unit, with tokens in the environment.
fn install(cluster: &Cluster) {
    let mirror = format!("http://{}:8917/k3s", cluster.bed.gateway());
    let script = |variables: &str, arguments: &str| {
        format!(
            "curl -sSf {mirror}/install.sh > /root/install.sh\n\
             INSTALL_K3S_VERSION={VERSION} INSTALL_K3S_ARTIFACT_URL={mirror}/releases/download {variables} sh /root/install.sh {arguments}"
        )
    };
    let flags = "server --cluster-init --disable traefik --disable servicelb --write-kubeconfig-mode 644";
    cluster.bed.shell("node01", &script("", flags));
    let token = cluster.bed.shell("node01", "cat /var/lib/rancher/k3s/server/node-token");
    let address = cluster.bed.shell("node01", "ip -o -4 address show dev host0 | sed 's/.*inet //; s,/.*,,; q'");
    for host in ["node02", "node03"] {
        cluster.bed.shell(host, &script(&format!("K3S_URL=https://{address}:6443 K3S_TOKEN={token}"), ""));
    }
}

#[test]
#[ignore = "needs root and real hosts"]
fn a_cluster_of_a_playbook_is_taken_as_it_is() {
    let cluster = Cluster::of("cluster-adopt", &["--nodes", "3"], &THREE, "");
    let variables = cluster.controller.site().join("group_vars/all.yml");
    let settings = fs::read_to_string(&variables).unwrap();
    let value =
        |name: &str| settings.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap().to_owned();
    let stated = settings.lines().filter(|line| !line.starts_with("k3s_version"));
    fs::write(&variables, stated.collect::<Vec<_>>().join("\n")).unwrap();
    let ran = cluster.apply(&["--tags", "tools,known_hosts,servers"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    install(&cluster);

    // The playbook's own way to the cluster, beside the user's.
    let home = |name: &str| cluster.controller.file(name);
    let address = cluster.bed.shell("node01", "ip -o -4 address show dev host0 | sed 's/.*inet //; s,/.*,,; q'");
    let admin = cluster.bed.shell("node01", "cat /etc/rancher/k3s/k3s.yaml").replace("127.0.0.1", &address);
    fs::write(home("playbook.yaml"), admin).unwrap();
    fs::write(home("values.yaml"), VALUES).unwrap();
    fs::write(home("applications.yaml"), applications(&value("repo_remote"))).unwrap();
    let path = |name: &str| home(name).to_str().unwrap().to_owned();
    let (kubeconfig, values, manifests) = (path("playbook.yaml"), path("values.yaml"), path("applications.yaml"));
    let chart = value("argocd_chart").replace("oci+http://", "oci://");
    let theirs = ["--kubeconfig", kubeconfig.as_str()];
    let helm = |words: &[&str]| cluster.tool("helm", &[words, &theirs].concat());
    let kubectl = |words: &[&str]| cluster.kubectl(&[&theirs[..], words].concat());
    let until = |words: &[&str], says: &str| cluster.until(&[&theirs[..], words].concat(), says);
    helm(&[
        "upgrade",
        "--install",
        "argocd",
        &chart,
        "--version",
        CHART,
        "--plain-http",
        "-n",
        "argo-cd",
        "--create-namespace",
        "-f",
        &values,
    ]);
    // helm does not wait until the API serves what the chart has just defined.
    for kind in ["application/none", "appproject/none"] {
        until(&["-n", "argo-cd", "get", kind, "--ignore-not-found", "-o", "name"], "");
    }
    kubectl(&["apply", "-f", &manifests]);
    fs::create_dir_all(home(".kube")).unwrap();
    fs::write(home(".kube/config"), KUBECONFIG).unwrap();

    let starts = || ["node01", "node02", "node03"].map(|host| cluster.start_of_k3s(host));
    let units = || {
        let units = "cat /etc/systemd/system/k3s*.service /etc/systemd/system/k3s*.service.env; k3s --version";
        ["node01", "node02", "node03"].map(|host| cluster.bed.shell(host, units))
    };
    let (started, installed) = (starts(), units());
    let theirs_of = |fields: &str| kubectl(&["-n", "argo-cd", "get", "application/all-cluster-services", "-o", fields]);
    let (uid, own) =
        ("jsonpath={.metadata.uid}", "jsonpath={.metadata.labels.team} {.spec.info} {.spec.syncPolicy.retry.backoff}");
    let (root, owned) = (theirs_of(uid), theirs_of(own));

    let plan = cluster.controller.run(&["plan"]);
    for (step, planned) in plan.planned() {
        assert!(
            !step.contains("k3s_server") && !step.contains("k3s_agent") || planned == "in_sync",
            "{step}: {planned}"
        );
    }
    assert_eq!(plan.hazards(), [""; 0]);
    let said = text(&serde_json::json!(plan.events)).to_lowercase();
    for word in ["\"to\":\"restarted", "uninstall", "installed anew", "7.8.3\""] {
        assert!(!said.contains(word), "the plan speaks of {word}: {said}");
    }
    let ran = cluster.apply(&[]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(starts(), started, "k3s was restarted");
    assert_eq!(units(), installed, "k3s was installed otherwise");
    assert_eq!(theirs_of(own), owned);
    assert_eq!(theirs_of(uid), root);
    assert!(helm(&["list", "-A", "-o", "json"]).contains(&format!("argo-cd-{CHART}")));
    let values = helm(&["get", "values", "argocd", "-n", "argo-cd"]);
    assert!(values.contains("id: github") && values.contains("enabled: false"), "{values}");
    let merged = fs::read_to_string(home(".kube/config")).unwrap();
    assert!(merged.contains("https://192.0.2.1:6443") && merged.contains("namespace: mine"), "{merged}");
    cluster.changes_nothing();

    // Argo CD anew takes nothing along that it has brought. The root application is healthy before what its children bring
    // is there: Argo CD gives an Application no health.
    until(&["-n", "hello", "get", "deployment/hello", "-o", "name"], "deployment.apps/hello");
    let hello = || kubectl(&["-n", "hello", "get", "deployment/hello", "-o", uid]);
    let running = hello();
    let ran = cluster.apply(&["-e", "cluster_force=true"]);
    assert!(ran.converged(), "{:#?}\n{}", ran.troubles(), ran.stderr);
    assert_eq!(hello(), running, "what runs was deleted");
    assert_eq!(theirs_of(uid), root, "the root application was deleted");
    assert!(helm(&["get", "values", "argocd", "-n", "argo-cd"]).contains("id: github"));
    cluster.changes_nothing();
}
