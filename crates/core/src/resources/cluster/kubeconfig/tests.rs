use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::contract::controller;
use crate::contract::node::Addresses;
use crate::ids::Sha256;
use crate::resources::scripted::{Script, check, fails, node01};

/// What the control plane of a cluster gives access with.
fn access() -> ClusterAccess {
    let authority = STANDARD.encode("-----BEGIN CERTIFICATE-----\nours\n-----END CERTIFICATE-----\n");
    let config = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "default",
        "clusters": [{"name": "default", "cluster": {
            "server": "https://127.0.0.1:6443", "certificate-authority-data": authority,
        }}],
        "users": [{"name": "default", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    });
    ClusterAccess::parse(&config.to_string()).unwrap()
}

#[test]
fn a_context_leads_to_this_cluster_and_no_other() {
    let resource = |ip: Option<&str>| Kubeconfig {
        path: "/home/me/.kube/config".to_owned(),
        context: "home".to_owned(),
        set_current: true,
        control_plane: node01(),
        control_plane_ip: ip.map(str::to_owned),
    };
    let context = |state: Option<KubeconfigState>| {
        let question = KubeconfigContext { path: "/home/me/.kube/config".to_owned(), context: "home".to_owned() };
        says!(Controller, question => state.clone())
    };
    let state = |server: &str, credentials_sha256, mode| {
        Some(KubeconfigState { server: server.to_owned(), credentials_sha256, mode })
    };
    let (ours, theirs) = (Some(access().sha256()), Some(Sha256::of("another cluster")));
    let has = || says!(node01(), AdminKubeconfig {} => access());
    let here = |address: &str| says!(node01(), Addresses {} => vec![address.to_owned()]);
    let named = |what: &str| format!("{what} of context home in /home/me/.kube/config");
    let merge = &["controller: merge context home into /home/me/.kube/config", "changed"][..];
    let url = "https://10.0.0.1:6443";
    let (added, server, credentials) = (
        "context home in /home/me/.kube/config: + https://10.0.0.1:6443",
        format!("{}: https://10.0.0.9:6443 → {url}", named("server")),
        format!("{}: others → the control plane's", named("credentials")),
    );
    for (what, ip, present, facts, plan, run) in [
        ("none", None, None, vec![has(), here("10.0.0.1")], &[added][..], merge),
        ("none, at the address of the site", Some("10.0.0.1"), None, vec![has()], &[added], merge),
        ("good", None, state(url, ours, 0o600), vec![has(), here("10.0.0.1")], &["in sync"], &["in sync"]),
        (
            "of another cluster",
            None,
            state("https://10.0.0.9:6443", theirs, 0o600),
            vec![has(), here("10.0.0.1")],
            &[&server, &credentials],
            merge,
        ),
        (
            "of the cluster before",
            None,
            state(url, theirs, 0o600),
            vec![has(), here("10.0.0.1")],
            &[&credentials],
            merge,
        ),
        ("with a program to run", None, state(url, None, 0o600), vec![has(), here("10.0.0.1")], &[&credentials], merge),
        ("moved", None, state("https://10.0.0.9:6443", ours, 0o600), vec![has(), here("10.0.0.1")], &[&server], merge),
        (
            "for all to read",
            None,
            state(url, ours, 0o644),
            vec![has(), here("10.0.0.1")],
            &["mode of /home/me/.kube/config: 0644 → 0600"],
            merge,
        ),
        (
            "an address that is none",
            None,
            None,
            vec![has(), here("a/b")],
            &["unreachable: find the control plane's address on node01: not what was expected \
               (`a/b` is not a host name or an address)"],
            &["failed: find the control plane's address on node01: not what was expected \
               (`a/b` is not a host name or an address)"],
        ),
        (
            "no address",
            None,
            None,
            vec![has(), says!(node01(), Addresses {} => Vec::new())],
            &["unreachable: find the control plane's address on node01: the name does not resolve"],
            &["again after: find the control plane's address on node01: the name does not resolve"],
        ),
        (
            "the control plane has none",
            None,
            None,
            vec![fails(&node01(), AdminKubeconfig {}, Cause::Failed)],
            &["context home in /home/me/.kube/config: + as the control plane will have it"],
            &["failed: read the kubeconfig that k3s wrote on node01: failed"],
        ),
    ] {
        let script = Script::new([context(present)])
            .with(facts)
            .once("merge context home into /home/me/.kube/config", [context(state(url, ours, 0o600))]);
        let told = check(what, resource(ip), script, plan, run);
        for action in told.done::<Controller>() {
            let controller::Action::MergeKubeconfig(merge) = action else { panic!("{what}: {action}") };
            assert_eq!((merge.access.server().to_string().as_str(), merge.set_current), (url, true), "{what}");
        }
    }
}
