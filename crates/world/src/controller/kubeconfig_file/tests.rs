//! Merging into kubeconfigs as users have them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bringup_core::text::document::Document;

use super::*;

/// An access with a key of this text.
fn access(key: &str) -> ClusterAccess {
    let pem =
        |kind: &str, text: &str| STANDARD.encode(format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n"));
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "default",
        "clusters": [{"name": "default", "cluster": {
            "server": "https://10.0.0.1:6443", "certificate-authority-data": pem("CERTIFICATE", "ca")}}],
        "users": [{"name": "default", "user": {
            "client-certificate-data": pem("CERTIFICATE", "me"), "client-key-data": pem("PRIVATE KEY", key)}}],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    });
    ClusterAccess::parse(&text.to_string()).unwrap()
}

async fn merge_into(path: &Path, name: &str, key: &str, set_current: bool) -> Result<(), KubeconfigError> {
    merge(path, &Merge { name, access: &access(key), set_current }).await
}

fn read(path: &Path) -> Document {
    Document::of_user(&fs::read_to_string(path).unwrap()).unwrap().unwrap()
}

fn text<'a>(config: &'a Document, field: &str) -> Option<&'a str> {
    config.get(field).and_then(Document::as_text)
}

fn items<'a>(config: &'a Document, list: &str) -> &'a [Document] {
    let Some(Document::List(items)) = config.get(list) else { panic!("no {list}") };
    items
}

/// Somebody's: two clusters, strings that YAML would take for something else, fields that nobody here knows.
const THEIRS: &str = r#"# work
apiVersion: v1
kind: Config
preferences: {colors: true}
current-context: work
clusters:
- name: work
  cluster: {server: "https://work:6443", insecure-skip-tls-verify: true, extensions: [{name: x, extension: {a: "0644"}}]}
- name: home
  cluster: {server: https://home}
contexts:
- name: work
  context: {cluster: work, user: me, namespace: "on"}
- name: home
  context: {cluster: home, user: me}
users:
- name: me
  user:
    password: "1:30"
    token: 12:34
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: get-token
      args: ["--now", "2020-01-01", "~", "null", "no", ""]
      env: null
      installHint: |
        two
        lines
something-new: {n: 1.5, deep: [[1, two], {}]}
"#;

#[tokio::test]
async fn a_new_file_is_its_owners_alone_and_current() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".kube/config");
    assert_eq!(context(&path, "turing-pi").unwrap(), None);
    merge_into(&path, "turing-pi", "a2V5", true).await.unwrap();
    let state = context(&path, "turing-pi").unwrap().unwrap();
    assert_eq!((state.server.as_str(), state.mode), ("https://10.0.0.1:6443", 0o600));
    assert_eq!(state.credentials_sha256, Some(access("a2V5").sha256()));
    let config = read(&path);
    assert_eq!(text(&config, "current-context"), Some("turing-pi"));
    assert_eq!(text(&config, "apiVersion"), Some("v1"));
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["config"], "no lock and no backup of nothing is left");
}

#[tokio::test]
async fn what_is_not_ours_is_the_same_value_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let before = read(&path);
    merge_into(&path, "turing-pi", "a2V5", false).await.unwrap();
    let mut after = read(&path);
    assert_eq!(text(&after, "current-context"), Some("work"), "not asked to be current");
    for list in ["clusters", "contexts", "users"] {
        assert_eq!(text(items(&after, list).last().unwrap(), "name"), Some("turing-pi"));
        after.change(list, |entries| {
            let Document::List(mut entries) = entries else { panic!("no {list}") };
            entries.pop();
            Document::List(entries)
        });
    }
    assert_eq!(after, before);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let backup = directory.path().join("config.bringup-backup");
    assert_eq!(fs::read_to_string(&backup).unwrap(), THEIRS);
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
}

/// kubectl reads YAML 1.1: what would be something else there is quoted.
#[tokio::test]
async fn strings_stay_strings_for_kubectl() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    merge_into(&path, "yes", "a2V5", true).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("token: 12:34\n"), "what is not quoted stays as it is: {text}");
    for quoted in ["0644", "on", "1:30", "2020-01-01", "~", "null", "no", "yes"] {
        assert!(text.contains(&format!("\"{quoted}\"")) || text.contains(&format!("'{quoted}'")), "{quoted}: {text}");
    }
}

#[tokio::test]
async fn a_context_that_is_there_is_renewed_in_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    fs::write(&path, THEIRS).unwrap();
    merge_into(&path, "turing-pi", "b2xk", true).await.unwrap();
    let mut config = read(&path);
    assert_eq!(text(&config, "current-context"), Some("turing-pi"));
    // The user goes elsewhere, and gives ours a namespace.
    config.set("current-context", Document::text("home"));
    config.change("contexts", |contexts| {
        let Document::List(mut contexts) = contexts else { panic!("no contexts") };
        contexts[2].change("context", |mut context| {
            context.set("namespace", Document::text("argo-cd"));
            context
        });
        Document::List(contexts)
    });
    fs::write(&path, config.render().unwrap()).unwrap();
    merge_into(&path, "turing-pi", "bmV3", true).await.unwrap();
    let config = read(&path);
    assert_eq!(text(&config, "current-context"), Some("home"), "a run does not take the user's context away");
    let ours = items(&config, "contexts")[2].get("context").unwrap();
    assert_eq!(text(ours, "namespace"), Some("argo-cd"));
    assert_eq!(items(&config, "users").len(), 2);
    assert_eq!(context(&path, "turing-pi").unwrap().unwrap().credentials_sha256, Some(access("bmV3").sha256()));
}

#[tokio::test]
async fn what_is_no_kubeconfig_is_refused_kept_and_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config");
    for text in ["clusters: [\nusers: s3cr3t\n", "- s3cr3t\n", "clusters: s3cr3t\n", "a: s3cr3t\na: s3cr3t\n"] {
        fs::write(&path, text).unwrap();
        let looked = context(&path, "turing-pi").unwrap_err();
        let wrote = merge_into(&path, "turing-pi", "a2V5", true).await.unwrap_err();
        for trouble in [looked, wrote] {
            assert!(matches!(trouble, KubeconfigError::Odd(_)), "{text:?}: {trouble:?}");
            assert!(!format!("{trouble:?}").contains("s3cr3t"), "{trouble:?}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "{text:?}");
    }
}

#[tokio::test]
async fn empty_files_and_lists_are_filled_and_links_stay() {
    for text in ["", "\n# nothing\n", "clusters: null\ncontexts: null\nusers: null\ncurrent-context: \"\"\n"] {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("real"), directory.path().join("config"));
        fs::write(&file, text).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        merge_into(&link, "turing-pi", "a2V5", true).await.unwrap();
        assert!(context(&link, "turing-pi").unwrap().is_some(), "{text:?}");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
