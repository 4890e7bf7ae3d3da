//! What we understand of an inventory is what Ansible understands: compared site by site with the real thing.
//!
//! `BRINGUP_ANSIBLE` names the directory that `ansible` and `ansible-inventory` are in; `scripts/test` installs them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

/// Where the tests' environment looks for values.
const VALUE: (&str, &str) = ("BRINGUP_TEST_VALUE", "From The Environment");

fn sites() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sites");
    let mut sites: Vec<PathBuf> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    sites.sort();
    assert!(sites.len() >= 10, "{} sites", sites.len());
    sites
}

/// What `-i` names: the file, or the directory of a site whose inventory is several files.
fn hosts_file(site: &Path) -> PathBuf {
    if site.ends_with("several") {
        return site.to_owned();
    }
    let names = ["hosts.yml", "hosts.yaml", "hosts.json"];
    names.iter().map(|name| site.join(name)).find(|path| path.exists()).unwrap()
}

/// What both are given besides the inventory.
fn arguments(site: &Path) -> Vec<String> {
    let mut arguments = Vec::new();
    if site.join("password").exists() {
        arguments.extend(["--vault-password-file".to_owned(), site.join("password").display().to_string()]);
    }
    let extra = site.join("extra.yml");
    if extra.exists() {
        for vars in ["a=given b='two words'", &format!("@{}", extra.display()), "{\"e\": {\"f\": true}}"] {
            arguments.extend(["-e".to_owned(), vars.to_owned()]);
        }
    }
    arguments
}

fn ansible(command: &str, site: &Path) -> Command {
    let directory = std::env::var("BRINGUP_ANSIBLE")
        .unwrap_or_else(|_| panic!("BRINGUP_ANSIBLE does not say where Ansible is; scripts/test installs it"));
    let mut command = Command::new(Path::new(&directory).join(command));
    command.arg("-i").arg(hosts_file(site)).args(arguments(site));
    command.env(VALUE.0, VALUE.1).env("ANSIBLE_NOCOLOR", "1").env("ANSIBLE_DEPRECATION_WARNINGS", "false");
    command
}

fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn ours(site: &Path, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
    command.arg("inventory").arg("-i").arg(site).args(arguments(site)).args(more).env(VALUE.0, VALUE.1);
    output(command)
}

/// What is secret Ansible shows, sealed or not; we do not.
fn without_secrets(theirs: &mut Value, ours: &Value) {
    match (theirs, ours) {
        (Value::Object(theirs), Value::Object(ours)) => {
            for (key, value) in theirs {
                without_secrets(value, ours.get(key).unwrap_or(&Value::Null));
            }
        }
        (Value::Null, _) => {}
        (theirs, ours) if ours == "(secret)" => *theirs = ours.clone(),
        _ => {}
    }
}

/// What is not to be a template is marked so by Ansible.
fn without_marks(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(text) = map.get("__ansible_unsafe").cloned() {
                *value = text;
                return;
            }
            map.values_mut().for_each(without_marks);
        }
        Value::Array(items) => items.iter_mut().for_each(without_marks),
        _ => {}
    }
}

#[test]
#[ignore = "needs Ansible: scripts/test installs it"]
fn structure_and_raw_values() {
    for site in sites() {
        let mut theirs: Value =
            serde_json::from_str(&output(with(ansible("ansible-inventory", &site), "--list"))).unwrap();
        let ours: Value = serde_json::from_str(&ours(&site, &["--list", "--raw"])).unwrap();
        without_marks(&mut theirs);
        without_secrets(&mut theirs, &ours);
        assert_eq!(pretty(&ours), pretty(&theirs), "{}", site.display());
    }
}

#[test]
#[ignore = "needs Ansible: scripts/test installs it"]
fn trees() {
    for site in sites() {
        let theirs = output(with(ansible("ansible-inventory", &site), "--graph"));
        assert_eq!(ours(&site, &["--graph"]).trim_end(), theirs.trim_end(), "{}", site.display());
    }
}

#[test]
#[ignore = "needs Ansible: scripts/test installs it"]
fn resolved_values() {
    for site in sites() {
        let ours: Value = serde_json::from_str(&ours(&site, &["--list"])).unwrap();
        let hosts = ours["_meta"]["hostvars"].as_object().unwrap();
        let theirs = debugged(&site);
        for (host, variables) in hosts {
            for (name, value) in variables.as_object().unwrap() {
                let mut expected = theirs[host][name].clone();
                without_marks(&mut expected);
                without_secrets(&mut expected, value);
                assert_eq!(value, &expected, "{}: {host}.{name}", site.display());
            }
        }
    }
}

/// Each host's variables as `debug` shows them.
fn debugged(site: &Path) -> BTreeMap<String, Map<String, Value>> {
    let mut command = ansible("ansible", site);
    command.args(["all", "-o", "-m", "debug", "-a", "var=hostvars[inventory_hostname]"]);
    let mut hosts = BTreeMap::new();
    for line in output(command).lines() {
        let Some((host, json)) = line.split_once(" | SUCCESS => ") else { continue };
        let value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {line}"));
        hosts.insert(host.to_owned(), value["hostvars[inventory_hostname]"].as_object().unwrap().clone());
    }
    hosts
}

fn with(mut command: Command, argument: &str) -> Command {
    command.arg(argument);
    command
}

/// With its keys sorted, so that a difference is where it is.
fn pretty(value: &Value) -> String {
    let mut value = value.clone();
    value.sort_all_objects();
    format!("{value:#}")
}
