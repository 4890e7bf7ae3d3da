//! cloud-init's files. They are JSON, which is YAML: so no value of a site can be taken for anything but a value.

use bringup_core::contract::bmc::CloudSeed;
use serde_json::{Value, json};

/// What cloud-init is to make of a node: the same for its own configuration and for NoCloud's `user-data`, which would
/// override it.
fn config(seed: &CloudSeed) -> Value {
    json!({
        "hostname": seed.hostname,
        "preserve_hostname": false,
        "prefer_fqdn_over_hostname": false,
        "manage_etc_hosts": "localhost",
        // No list of users but this one: the image's own account has a password that everyone knows.
        "users": [{
            "name": seed.account,
            "gecos": "bringup",
            "groups": ["adm", "sudo"],
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "lock_passwd": true,
            "ssh_authorized_keys": seed.public_keys,
        }],
        "disable_root": true,
        "ssh_pwauth": false,
        // The key that we made stays, and no other kind is made beside it: a client would meet one that nobody recorded.
        "ssh_deletekeys": false,
        "ssh_genkeytypes": ["ed25519"],
    })
}

/// `/etc/cloud/cloud.cfg.d/zz-bringup.cfg`: read after the image's own, whatever they are called.
pub(super) fn drop_in(seed: &CloudSeed) -> String {
    format!("# Written by bringup when it flashed this node.\n{:#}\n", config(seed))
}

/// NoCloud's `user-data`.
pub(super) fn user_data(seed: &CloudSeed) -> String {
    format!("#cloud-config\n{:#}\n", config(seed))
}

/// NoCloud's `meta-data`. An instance that cloud-init has seen before it leaves as it is.
pub(super) fn meta_data(seed: &CloudSeed) -> String {
    format!("{:#}\n", json!({ "instance-id": seed.instance_id, "local-hostname": seed.hostname }))
}

#[cfg(test)]
mod tests {
    use bringup_core::contract::controller::HostKeyPair;
    use bringup_core::text::known_hosts::HostKey;
    use bringup_core::text::secret::Secret;

    use super::*;

    fn seed() -> CloudSeed {
        CloudSeed {
            hostname: "node01".to_owned(),
            account: "ansible".to_owned(),
            public_keys: vec!["ssh-ed25519 AAAA me: {at} \"home\" # 'x'".to_owned()],
            instance_id: "node01-run".to_owned(),
            host_key: HostKeyPair {
                private: Secret::new("hush"),
                public: HostKey { kind: "ssh-ed25519".to_owned(), base64: "AAAA".to_owned() },
            },
        }
    }

    #[test]
    fn values_stay_values_and_no_password_logs_in() {
        let text = user_data(&seed());
        let (first, rest) = text.split_once('\n').unwrap();
        assert_eq!(first, "#cloud-config");
        let value: Value = serde_json::from_str(rest).unwrap();
        assert_eq!(value["users"].as_array().unwrap().len(), 1);
        assert_eq!(value["users"][0]["ssh_authorized_keys"][0], seed().public_keys[0]);
        assert_eq!((&value["ssh_pwauth"], &value["ssh_deletekeys"]), (&Value::Bool(false), &Value::Bool(false)));
        assert!(value.get("chpasswd").is_none());
        let meta: Value = serde_json::from_str(&meta_data(&seed())).unwrap();
        assert_eq!(meta["instance-id"], "node01-run");
        assert!(drop_in(&seed()).starts_with('#') && !text.contains("PRIVATE"));
    }
}
