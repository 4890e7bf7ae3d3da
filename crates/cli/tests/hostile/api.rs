//! A hostile API server, and a hostile control plane that says how it is reached.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::https::{Answer, Server, path};
use crate::node::{Node, Sudo, honestly};
use crate::nodes::honest;
use crate::operator::{Operator, Ran};
use crate::words;

/// Who has the kubeconfig has this; nobody else is to see it.
const SECRET: &str = "t0ken-Sesame";

/// A kubeconfig as k3s writes it.
fn kubeconfig(server: &Server, user: Value) -> Value {
    let authority = STANDARD.encode(&server.authority.pem);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "default",
        "clusters": [{"name": "default", "cluster": {"server": server.url(), "certificate-authority-data": authority}}],
        "users": [{"name": "default", "user": user}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    })
}

/// An operator with a control plane that has this kubeconfig, and a worker `good`.
struct Cluster {
    operator: Operator,
    _nodes: [Node; 2],
}

impl Cluster {
    fn with(kubeconfig: &str, operator: Operator) -> Self {
        let control_plane = honest("k3s-server").with("cat /etc/rancher/k3s/k3s.yaml", kubeconfig, 0);
        let evil = Node::start(control_plane, Sudo::Free, honestly);
        let good = Node::start(honest("k3s-agent"), Sudo::Free, honestly);
        let host = |name: &str, port| {
            format!(
                "    {name}:\n      ansible_host: 127.0.0.1\n      ansible_port: {port}\n      root_dev: /dev/loop1\n"
            )
        };
        let variables = format!(
            "ansible_account: ops\nansible_password: x\ncontrol_plane: evil\ncluster_domain: example.org\n\
             cluster_install_list: [argocd]\ndomain_email: me@example.org\nrepo_remote: https://example.org/x.git\nk3s_install_url: {}\n",
            operator.file("home/install.sh", "#!/bin/sh\n")
        );
        operator.site(&variables, &format!("{}{}", host("evil", evil.port), host("good", good.port)));
        operator.file("home/.ssh/known_hosts", &format!("{}{}", evil.known_hosts_line(), good.known_hosts_line()));
        Self { operator, _nodes: [evil, good] }
    }

    /// Applies all that needs the API. What does not need it succeeds on the honest node, whatever the API says.
    fn apply(&self) -> Ran {
        let ran = self.operator.run(&["apply", "-y", "--tags", "update_packages,k3s,cluster"], &[]);
        assert_eq!(ran.status, Some(1), "{}", ran.said());
        let steps = ran.steps("good", Some("update_packages"));
        // The next step, the reboot, is the first that asks the cluster.
        for step in ["earlier_work", "cloud_init", "configured", "upgraded"] {
            let planned = format!("\"step_planned\" \"good/{step}\" {{\"known\":\"in_sync\"}}");
            let ended = format!("\"step_ended\" \"good/{step}\" \"in_sync\"");
            assert!(steps.contains(&planned) && steps.contains(&ended), "{step} of {steps:?}: {}", ran.said());
        }
        ran
    }
}

/// A cluster whose API gives this answer to a request with this head.
fn api(answer: fn(&str, &str) -> Answer) -> (Cluster, Server) {
    let operator = Operator::new();
    let canary = operator.canary();
    let server = Server::start(move |head| answer(&canary, head));
    let (certificate, key) = server.authority.sign("admin");
    let user =
        json!({"client-certificate-data": STANDARD.encode(certificate), "client-key-data": STANDARD.encode(key)});
    let text = kubeconfig(&server, user).to_string();
    (Cluster::with(&text, operator), server)
}

/// An object and a list in one, in which every text is one of these words, and every number is hard to compute with.
fn object(words: &[String], number: &Value) -> Value {
    let word = |at: usize| words[at % words.len()].clone();
    let mut object = json!({
        "kind": word(0), "apiVersion": word(1), "message": word(2), "reason": word(3), "code": number,
        "metadata": {
            "name": word(4), "namespace": word(5), "resourceVersion": word(6), "uid": word(7), "generation": number,
            "labels": {word(8): word(9), "version": number.to_string(), "owner": "helm"},
            "annotations": {word(10): word(11), word(12): word(12)},
            "managedFields": [{"manager": word(13), "operation": "Apply", "time": word(14), "fieldsV1": {word(15): {}}}],
            "creationTimestamp": word(16),
        },
        "spec": {
            "unschedulable": true, "replicas": number, "leaseTransitions": number, "leaseDurationSeconds": number,
            "holderIdentity": word(17), "renewTime": word(18),
            "taints": [{"key": word(19), "value": word(20), "effect": word(21)}],
        },
        "status": {
            "conditions": [{"type": "Ready", "status": "False", "message": word(22), "reason": word(23)}],
            "nodeInfo": {"bootID": word(24)}, "readyReplicas": number, "startTime": word(25),
            "health": {"status": word(26), "message": word(27)}, "sync": {"status": word(28)},
        },
        "data": {"release": STANDARD.encode(word(29)), word(30): word(31)},
    });
    object["items"] = json!([object.clone()]);
    object
}

#[test]
fn what_an_api_says_is_no_line_no_path_and_no_number_to_trip_over() {
    let ways: [fn(&str, &str) -> Answer; 4] = [
        |canary, _| Answer::whole(object(&words::all(canary), &json!(u64::MAX)).to_string()),
        |canary, _| Answer::whole(object(&[words::forged_lines(canary)], &json!(i64::MAX)).to_string()),
        |canary, _| {
            let date = "Date: Fri, 31 Dec 9999 23:59:59 GMT";
            Answer::with("200 OK", &[date], object(&words::baits(canary), &json!(i64::MIN)).to_string())
        },
        |canary, _| Answer::with("422 Unprocessable Entity", &[], object(&words::all(canary), &json!(-1)).to_string()),
    ];
    for way in ways {
        let (cluster, server) = api(way);
        cluster.apply();
        assert!(!server.heads().is_empty(), "it was asked");
    }
}

/// The API says that nodes are ready, so that it is written to, and lies about the Lease that is taken before.
#[test]
fn a_lease_that_lies_ends_the_clusters_lane_alone() {
    let lies: [fn(&str, &str) -> Answer; 2] = [
        |canary, head| ready_or(head, &object(&words::all(canary), &json!(i64::MAX))),
        |canary, head| ready_or(head, &object(&[words::forged_lines(canary)], &json!(i64::MIN))),
    ];
    for lie in lies {
        let (cluster, server) = api(lie);
        let ran = cluster.operator.run(&["apply", "-y", "--tags", "cluster"], &[]);
        assert!(matches!(ran.status, Some(1 | 4)), "{}", ran.said());
        assert!(server.heads().iter().any(|head| path(head).contains("/leases/")), "{:?}", server.heads());
    }
}

/// Both nodes are ready, if that is asked for; else the lie.
fn ready_or(head: &str, lie: &Value) -> Answer {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    let node = |name: &str| json!({"metadata": {"name": name, "labels": {}}, "spec": {}, "status": ready});
    let list = |items: &[Value]| Answer::whole(json!({"items": items}).to_string());
    match path(head).split('?').next().unwrap_or_default() {
        "/api/v1/nodes" => list(&[node("evil"), node("good")]),
        "/api/v1/nodes/evil" => Answer::whole(node("evil").to_string()),
        "/api/v1/nodes/good" => Answer::whole(node("good").to_string()),
        path if path.contains("/leases/") => Answer::whole(lie.to_string()),
        path if path.contains("/secrets") => list(&[]),
        _ => Answer::not_found(),
    }
}

#[test]
fn what_is_no_answer_of_an_api_is_refused() {
    let ways: [fn(&str, &str) -> Answer; 6] = [
        |_, _| Answer::whole("[".repeat(1 << 20)),
        |_, _| Answer::whole(words::yaml_bomb()),
        |_, _| Answer::with("200 OK", &["Content-Encoding: gzip"], [0x1f, 0x8b, 8, 0, 0xff, 0xff]),
        |_, _| Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}{}{}{}".to_vec()),
        |canary, _| Answer::redirection(&format!("file://{canary}/secret")),
        |_, _| Answer::redirection("http://127.0.0.1:1/"),
    ];
    for way in ways {
        let (cluster, server) = api(way);
        cluster.apply();
        assert!(!server.heads().is_empty(), "it was asked");
    }
}

#[test]
fn a_kubeconfig_with_more_than_access_runs_reads_and_asks_nothing() {
    type Change = fn(&mut Value, &str);
    let changes: [(&str, Change); 10] = [
        ("exec", |config, canary| {
            config["users"][0]["user"]["exec"] = json!({
                "apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/sh", "interactiveMode": "Never",
                "args": ["-c", format!("touch {canary}/ran")],
            });
        }),
        ("auth-provider", |config, canary| {
            config["users"][0]["user"]["auth-provider"] =
                json!({"name": "gcp", "config": {"cmd-path": "/bin/touch", "cmd-args": format!("{canary}/ran")}});
        }),
        ("tokenFile", |config, canary| config["users"][0]["user"] = json!({"tokenFile": format!("{canary}/secret")})),
        ("client-certificate", |config, canary| {
            config["users"][0]["user"] = json!({"client-certificate": format!("{canary}/secret"), "client-key": "x"});
        }),
        ("certificate-authority", |config, canary| {
            config["clusters"][0]["cluster"]["certificate-authority"] = json!(format!("{canary}/secret"));
        }),
        ("proxy-url", |config, _| config["clusters"][0]["cluster"]["proxy-url"] = json!("http://127.0.0.1:1")),
        ("insecure-skip-tls-verify", |config, _| {
            config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = json!(true);
        }),
        ("clusters[0].cluster.server", |config, canary| {
            config["clusters"][0]["cluster"]["server"] = json!(format!("file://{canary}/secret"));
        }),
        ("users[0].user.token", |config, _| {
            config["users"][0]["user"]["token"] = json!(format!("{SECRET}\r\nX-Forged: yes"));
        }),
        ("unknown field", |config, canary| config[words::forged_lines(canary)] = json!(SECRET)),
    ];
    for (named, change) in changes {
        let mut operator = Operator::new();
        operator.hides(SECRET);
        operator.hides("nobody reads this");
        let server = Server::start(|_| Answer::whole("{}"));
        let mut config = kubeconfig(&server, json!({"token": SECRET}));
        change(&mut config, &operator.canary());
        let ran = Cluster::with(&config.to_string(), operator).apply();
        assert!(ran.out.contains(named), "{named} is told of: {}", ran.said());
        assert!(server.heads().is_empty(), "{named}: nobody is asked with it");
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_read_ends_one_lane() {
    for text in [words::yaml_bomb(), "[".repeat(1 << 20), format!("{SECRET}: [\n{SECRET}"), "\0\u{1b}[2J".to_owned()] {
        let mut operator = Operator::new();
        operator.hides(SECRET);
        let ran = Cluster::with(&text, operator).apply();
        assert!(ran.out.contains("k3s.yaml"), "{}", ran.said());
    }
}

#[test]
fn an_api_that_repeats_the_token_it_was_sent_does_not_get_it_shown() {
    let ways: [fn(&str) -> Answer; 2] = [
        |token| {
            Answer::with(
                "403 Forbidden",
                &[],
                object(&[format!("x{token}x"), token.to_owned()], &json!(403)).to_string(),
            )
        },
        |token| Answer::whole(object(&[token.to_owned()], &json!(1)).to_string()),
    ];
    for way in ways {
        let mut operator = Operator::new();
        operator.hides(SECRET);
        let server = Server::start(move |head| {
            way(head.split("Bearer ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default())
        });
        let text = kubeconfig(&server, json!({"token": SECRET})).to_string();
        let ran = Cluster::with(&text, operator).apply();
        assert!(server.heads().iter().any(|head| head.contains(SECRET)), "it had the token to show: {}", ran.said());
        assert!(ran.said().contains("(secret)"), "it came, and was hidden: {}", ran.said());
    }
}

/// Or nothing of the above would prove anything.
#[test]
fn an_honest_kubeconfig_leads_to_the_api() {
    let (cluster, server) = api(|_, head| match path(head) {
        "/version" => Answer::whole(r#"{"major":"1"}"#),
        _ => Answer::not_found(),
    });
    cluster.operator.run(&["plan", "--tags", "k3s"], &[]);
    assert!(server.heads().iter().any(|head| path(head).starts_with("/api/v1/nodes")), "{:?}", server.heads());
}
