//! What is taken over, and what is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn pem(kind: &str, text: &str) -> String {
    STANDARD.encode(format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"))
}

/// As k3s writes it.
fn k3s() -> String {
    format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://127.0.0.1:6443\n  \
         name: default\ncontexts:\n- context:\n    cluster: default\n    user: default\n  name: default\n\
         current-context: default\nkind: Config\npreferences: {{}}\nusers:\n- name: default\n  user:\n    \
         client-certificate-data: {}\n    client-key-data: {}\n",
        pem("CERTIFICATE", "ca"),
        pem("CERTIFICATE", "admin"),
        pem("EC PRIVATE KEY", "s3cr3t")
    )
}

fn access() -> ClusterAccess {
    ClusterAccess::parse(&k3s()).unwrap()
}

#[test]
fn what_k3s_writes_is_taken_over() {
    let access = access();
    assert_eq!(access.server().to_string(), "https://127.0.0.1:6443");
    assert_eq!(access.authority(), pem("CERTIFICATE", "ca"));
    let moved = access.clone().at("fd00::1").unwrap();
    assert_eq!(moved.server().to_string(), "https://[fd00::1]:6443");
    assert_eq!(access.sha256(), moved.sha256(), "the address says nothing of the credentials");
    let renewed = k3s().replace(&pem("EC PRIVATE KEY", "s3cr3t"), &pem("PRIVATE KEY", "other"));
    assert_ne!(access.sha256(), ClusterAccess::parse(&renewed).unwrap().sha256());
    assert!(!format!("{access:?}").contains(&pem("EC PRIVATE KEY", "s3cr3t")));
    assert_eq!(ClusterAccess::parse(access.to_kubeconfig().expose()), Ok(access));
    let with_namespace = k3s().replace("    user: default\n", "    user: default\n    namespace: argo-cd\n");
    assert!(ClusterAccess::parse(&with_namespace).is_ok(), "kubectl config set-context writes that");
    let token = k3s().split("    client-certificate-data").next().unwrap().to_owned() + "    token: abc.def\n";
    let token = ClusterAccess::parse(&token).unwrap();
    assert_eq!(token.identity(), &Identity::Token(Secret::new("abc.def")));
}

#[test]
fn anything_else_is_refused_by_its_name() {
    let (user, cluster) = ("    client-certificate-data:", "    server:");
    for (before, line, path) in [
        (user, "    exec: {apiVersion: v1, command: /bin/sh, args: [-c, id]}\n", "users[0].user.exec"),
        (user, "    auth-provider: {name: gcp}\n", "users[0].user.auth-provider"),
        (user, "    tokenFile: /etc/shadow\n", "users[0].user.tokenFile"),
        (user, "    client-certificate: /etc/shadow\n", "users[0].user.client-certificate"),
        (user, "    client-key: /etc/shadow\n", "users[0].user.client-key"),
        (user, "    username: root\n", "users[0].user.username"),
        (user, "    password: root\n", "users[0].user.password"),
        (user, "    as: root\n", "users[0].user.as"),
        (user, "    as-groups: [system:masters]\n", "users[0].user.as-groups"),
        (user, "    extensions: []\n", "users[0].user.extensions"),
        (cluster, "    proxy-url: http://elsewhere\n", "clusters[0].cluster.proxy-url"),
        (cluster, "    insecure-skip-tls-verify: true\n", "clusters[0].cluster.insecure-skip-tls-verify"),
        (cluster, "    tls-server-name: elsewhere\n", "clusters[0].cluster.tls-server-name"),
        (cluster, "    certificate-authority: /etc/shadow\n", "clusters[0].cluster.certificate-authority"),
        (cluster, "    disable-compression: true\n", "clusters[0].cluster.disable-compression"),
        ("kind:", "extensions: []\n", "extensions"),
    ] {
        let text = k3s().replacen(before, &format!("{line}{before}"), 1);
        assert_eq!(ClusterAccess::parse(&text), Err(Refused::Field { path: path.to_owned() }), "{line}");
    }
    let colours = k3s().replace("preferences: {}", "preferences: {colors: true}");
    assert_eq!(ClusterAccess::parse(&colours), Err(Refused::Field { path: "preferences.colors".to_owned() }));
    let merged =
        k3s().replace("    client-certificate-data:", "    <<: {exec: {command: sh}}\n    client-certificate-data:");
    assert_eq!(ClusterAccess::parse(&merged), Err(Refused::Field { path: "users[0].user.exec".to_owned() }));
}

#[test]
fn a_server_is_https_with_a_host_and_a_port() {
    for (url, good) in [
        ("https://127.0.0.1:6443", true),
        ("https://node01.lan:16443/", true),
        ("https://[fd00::1]:6443", true),
        ("http://127.0.0.1:6443", false),
        ("https://127.0.0.1", false),
        ("https://:6443", false),
        ("https://127.0.0.1:0", false),
        ("https://127.0.0.1:+1", false),
        ("https://127.0.0.1:66000", false),
        ("https://user@127.0.0.1:6443", false),
        ("https://127.0.0.1:6443/path", false),
        ("https://127.0.0.1:6443?a=b", false),
        ("https://[::1:6443", false),
        ("https://fd00::1:6443", false),
        ("https://a b:6443", false),
        ("", false),
    ] {
        assert_eq!(ApiServer::parse(url).is_ok(), good, "{url}");
        let parsed = ClusterAccess::parse(&k3s().replace("https://127.0.0.1:6443", &format!("\"{url}\"")));
        assert_eq!(parsed.is_ok(), good, "{url}");
    }
    for host in ["", "a/b", "a:1", "a\nb", "[::1]"] {
        assert_eq!(access().at(host), Err(InvalidServer), "{host:?}");
    }
}

#[test]
fn what_is_not_a_kubeconfig_is_refused_without_showing_it() {
    let secret = pem("EC PRIVATE KEY", "s3cr3t");
    let cut = |until: &str| k3s().split(until).next().unwrap().to_owned();
    let below_the_key = k3s() + "   \t" + &secret + ": [\n";
    for (text, expected) in [
        (String::new(), "missing field `apiVersion`".to_owned()),
        ("- a\n".to_owned(), "not a kubeconfig: expected a map".to_owned()),
        (below_the_key, "line 19, column 22: invalid YAML".to_owned()),
        (k3s() + "    " + &secret + ": x\n", "unknown field in `users[0].user`".to_owned()),
        (k3s() + "    client-key-data: x\n", "line 20, column 5: duplicate key".to_owned()),
        (cut("    client-key-data"), "missing field `users[0].user.client-key-data`".to_owned()),
        (cut("users:"), "missing field `users`".to_owned()),
        (
            k3s().replace(&secret, "s3cr3t"),
            "invalid `users[0].user.client-key-data`: expected PEM in base64".to_owned(),
        ),
        (k3s().replace(&secret, "[s3cr3t]"), "invalid `users[0].user.client-key-data`: expected a string".to_owned()),
        (k3s() + "- name: other\n  user: {}\n", "invalid `users`: expected a list of one entry".to_owned()),
        (
            k3s() + "    token: s3cr3t\n",
            "invalid `users[0].user.token`: expected either a client certificate or a token".to_owned(),
        ),
        (
            k3s().replace("current-context: default", "current-context: s3cr3t"),
            "invalid `current-context`: expected the name of the context".to_owned(),
        ),
        (
            k3s().replace("    user: default", "    user: s3cr3t"),
            "invalid `contexts[0].context.user`: expected the name of the user".to_owned(),
        ),
        ("[".repeat(50_000), "line 1, column 256: nested too deeply, at most 64 levels are read".to_owned()),
    ] {
        let refused = ClusterAccess::parse(&text).unwrap_err();
        assert_eq!(refused.to_string(), expected);
        assert!(!format!("{refused:?}").contains("s3cr3t") && !format!("{refused:?}").contains(&secret), "{refused:?}");
    }
}

#[test]
fn what_we_would_not_write_is_no_access_of_ours() {
    let mut config = UserConfig::parse("").unwrap();
    assert_eq!(config.context("ours"), None);
    config.put("ours", &access(), true);
    let text = config.render().unwrap();
    let entry = UserConfig::parse(&text).unwrap().context("ours").unwrap();
    assert_eq!(entry, Entry { server: "https://127.0.0.1:6443".to_owned(), sha256: Some(access().sha256()) });
    let program = text.replace("    client-key-data:", "    exec: {command: sh}\n    client-key-data:");
    let mut config = UserConfig::parse(&program).unwrap();
    assert_eq!(config.context("ours").unwrap().sha256, None, "what an earlier release merged is seen as a difference");
    config.put("ours", &access(), true);
    assert_eq!(config.render().unwrap(), text, "and is replaced");
}
