//! A recorded line against what is so here, but for what may differ.

use std::time::Duration;

use serde_json::Value;

use super::nodes;
use super::pattern::{is_hexadecimal, matches};
use super::stage::Stage;

/// What is different, if anything is.
pub fn line(stage: &mut Stage, line: &Value) -> Vec<String> {
    let host = line["host"].as_str().unwrap_or("a");
    match line["note"].as_str().unwrap() {
        "server, first install" => script(stage, host, line),
        "server, install script again with nothing changed" => {
            let mut different = script(stage, host, line);
            if stage.started_of("a", "k3s") != stage.started {
                different.push("it was restarted".to_owned());
            }
            different
        }
        "agent, install script" => joined(stage, host, line),
        "server, unit" => unit(stage, host, line),
        "server, env file" | "agent, env file" => environment(stage, host, line),
        "server, files" => files(stage, host, line),
        "server, token" => token(&stage.token()),
        "server, kubeconfig" => kubeconfig(stage, host, line),
        "agent, wrong short token"
        | "agent, CA hash of the token does not match"
        | "agent, right CA, wrong password"
        | "agent, nothing at the address"
        | "agent, nothing at the port"
        | "agent, node password changed" => refused(stage, host, line),
        "node password secret" => nodes::password(stage, line),
        "Node deleted while its agent is refused" => nodes::deleted_while_refused(stage),
        "Node deleted under a healthy agent" => nodes::deleted_while_healthy(stage),
        "agent's Node 37 s after its agent was uninstalled" => nodes::left_behind(stage, line),
        "server's Node" => nodes::server(stage, line),
        "addons" => nodes::addons(stage, line),
        "agent, uninstall" => {
            let (exit, _) = stage.uninstalled.clone().unwrap();
            [differs("exit", &line["exit"], &Value::from(exit)), gone(stage, host, "k3s-agent")].concat()
        }
        "server, etcd snapshot" => snapshot(stage, host, line),
        "server, uninstall" => {
            let (exit, _) = stage.bed.tried(host, line["cmd"].as_str().unwrap());
            [differs("exit", &line["exit"], &Value::from(exit)), gone(stage, host, "k3s")].concat()
        }
        other => panic!("nothing here knows what `{other}` is compared with"),
    }
}

pub fn differs(what: &str, recorded: &Value, here: &Value) -> Vec<String> {
    if recorded == here { Vec::new() } else { vec![format!("{what}: {here}, recorded {recorded}")] }
}

fn missing(what: &str, so: bool) -> Vec<String> {
    if so { Vec::new() } else { vec![what.to_owned()] }
}

/// Runs a recorded command, and compares each line that it prints.
fn script(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let command = stage.here(line["cmd"].as_str().unwrap()).replace('…', &token_for(stage, line));
    let (exit, said) = stage.bed.tried(host, &format!("cd /root\n{command}"));
    let recorded: Vec<&str> = line["output"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let said: Vec<&str> = said.lines().collect();
    [differs("exit", &line["exit"], &Value::from(exit)), differs("output", &recorded.into(), &said.into())].concat()
}

/// What stands for a token in a recorded command.
fn token_for(stage: &Stage, line: &Value) -> String {
    if line["cmd"].as_str().unwrap().contains("K3S_TOKEN") { stage.token() } else { String::new() }
}

fn joined(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let mut different = script(stage, host, line);
    let unit = line["facts"]["unit"].as_str().unwrap();
    for name in ["Type", "TimeoutStartUSec"] {
        different.extend(differs(name, &line["facts"][name], &stage.property(host, unit, name).into()));
    }
    different.extend(missing("b never became Ready", stage.comes(super::stage::BOUND, |stage| stage.is_ready("b"))));
    different
}

fn unit(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let path = line["file"].as_str().unwrap();
    let (text, mut different) = (stage.bed.shell(host, &format!("cat {path}")), Vec::new());
    for (name, recorded) in line["facts"].as_object().unwrap() {
        let here = match name.as_str() {
            "mode" => mode(stage, host, path).into(),
            // The file's last lines, as it stands there: systemd tells it otherwise.
            "ExecStart" => Value::from(format!("{}\n", text.split_once("\nExecStart=").unwrap().1)),
            "EnvironmentFile" => text.lines().filter_map(|line| line.strip_prefix("EnvironmentFile=")).collect(),
            "RestartSec" => stage.property(host, "k3s", "RestartUSec").into(),
            name => stage.property(host, "k3s", name).into(),
        };
        different.extend(differs(name, recorded, &here));
    }
    different
}

fn mode(stage: &Stage, host: &str, path: &str) -> String {
    format!("0{}", stage.bed.shell(host, &format!("stat -c %a {path}")))
}

fn environment(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let path = line["file"].as_str().unwrap();
    let text = stage.bed.shell(host, &format!("cat {path}"));
    let recorded = stage.here(line["text"].as_str().unwrap_or_default());
    [
        differs("mode", &line["facts"]["mode"], &mode(stage, host, path).into()),
        missing(&format!("its text is not {recorded}"), matches(recorded.trim_end(), &text)),
    ]
    .concat()
}

fn files(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let mut different = Vec::new();
    for (path, recorded) in line["modes"].as_object().unwrap() {
        let entries = || stage.bed.shell(host, &format!("ls -p {path}"));
        match (path.as_str(), recorded) {
            ("/etc/rancher/node/password", _) => {
                different.extend(differs(path, &"0600".into(), &mode(stage, host, path).into()));
                let text = stage.bed.shell(host, &format!("cat {path}; wc -c < {path}"));
                let (password, length) = text.split_once('\n').unwrap();
                different
                    .extend(missing("32 hex digits and a newline", is_hexadecimal(password, 32) && length == "33"));
            }
            (_, Value::String(recorded)) if recorded.starts_with("symlink to ") => {
                let link = stage.bed.shell(host, &format!("basename \"$(readlink {path})\""));
                different.extend(differs(path, &recorded[11..].into(), &link.into()));
            }
            (_, Value::String(_)) => different.extend(differs(path, recorded, &mode(stage, host, path).into())),
            ("/usr/local/bin", Value::Array(recorded)) => {
                let list = "for file in /usr/local/bin/*; do echo \"${file##*/} -> $(readlink \"$file\")\"; done";
                let list = stage.bed.shell(host, list);
                let mut here: Vec<&str> = list.lines().map(|line| line.trim_end_matches(" -> ").trim()).collect();
                // One is in the path here, too.
                let mut recorded: Vec<&str> = recorded.iter().map(|name| name.as_str().unwrap()).collect();
                recorded.retain(|name| !name.contains("skipped"));
                here.sort_unstable();
                recorded.sort_unstable();
                different.extend(differs(path, &recorded.into(), &here.into()));
            }
            // Later releases keep more there.
            ("/var/lib/rancher/k3s/agent/etc", Value::Array(recorded)) => {
                let here = entries().replace('/', "");
                let here: Vec<&str> = here.lines().collect();
                for name in recorded {
                    different.extend(missing(&format!("{path} has no {name}"), here.contains(&name.as_str().unwrap())));
                }
            }
            (_, recorded) => different.extend(differs(path, recorded, &entries().lines().collect())),
        }
    }
    different
}

fn token(token: &str) -> Vec<String> {
    let parts = token.strip_prefix("K10").and_then(|rest| rest.split_once("::server:"));
    let right = parts.is_some_and(|(hash, secret)| is_hexadecimal(hash, 64) && is_hexadecimal(secret, 32));
    missing("it is not K10, 64 hex digits, ::server: and 32 hex digits", right)
}

fn kubeconfig(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let text = stage.bed.shell(host, &format!("cat {}", line["file"].as_str().unwrap()));
    let masked: Vec<String> = text
        .lines()
        .map(|line| line.split_once("-data: ").map_or_else(|| line.to_owned(), |(name, _)| format!("{name}-data: ...")))
        .collect();
    differs("text", &line["text"], &format!("{}\n", masked.join("\n")).into())
}

/// The script says yes and the unit is active, and only the journal tells.
fn refused(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let note = line["note"].as_str().unwrap();
    let exit = stage.join(note);
    let mut different = differs("exit", &line["exit"], &exit.into());
    let recorded: Vec<String> = line["journal"].as_array().unwrap().iter().map(|line| here(stage, line)).collect();
    let said = |stage: &Stage, line: &str| stage.journal(host, "k3s-agent").lines().any(|one| matches(line, one));
    let bound = Duration::from_secs(60);
    if note == "agent, nothing at the port" {
        // Two ends that the same can come to.
        let any = stage.comes(bound, |stage| recorded.iter().any(|line| said(stage, line)));
        different.extend(missing(&format!("neither of {recorded:?} is in the journal"), any));
    } else {
        for line in recorded {
            let there = stage.comes(bound, |stage| said(stage, &line));
            different.extend(missing(&format!("{line} is not in the journal"), there));
        }
    }
    if !different.is_empty() {
        different.push(format!("the journal: {}", stage.journal(host, "k3s-agent")));
    }
    for (name, recorded) in line["unit"].as_object().unwrap() {
        let here = stage.property(host, "k3s-agent", name);
        let here = here.parse::<u64>().map_or_else(|_| Value::from(here), Value::from);
        different.extend(differs(name, recorded, &here));
    }
    different
}

/// With these hosts' addresses. The stand-in says that it is one where the real one names its commit.
fn here(stage: &Stage, recorded: &Value) -> String {
    stage.here(recorded.as_str().unwrap()).replace("(aef8a6aa)", "(stand-in)")
}

/// Whether an uninstallation took what was recorded and left what was recorded.
fn gone(stage: &Stage, host: &str, unit: &str) -> Vec<String> {
    let gone = format!(
        "for path in /etc/rancher/k3s /var/lib/rancher/k3s /var/lib/kubelet /run/k3s /etc/systemd/system/{unit}.service \
         /etc/systemd/system/{unit}.service.env /etc/systemd/system/multi-user.target.wants/{unit}.service \
         /usr/local/bin/k3s /usr/local/bin/kubectl /usr/local/bin/crictl /usr/local/bin/k3s-killall.sh \
         /usr/local/bin/{unit}-uninstall.sh /sys/class/net/cni0 /sys/class/net/flannel.1; do\n\
         [ ! -e $path ] || echo \"$path is left\"\ndone\n\
         [ -s /etc/rancher/node/password ] || echo 'the node password is gone'\n\
         for process in containerd-shim kubelet kube-proxy containerd etcd kube-apiserver; do\n\
         ! grep -lx $process /proc/[0-9]*/comm 2>/dev/null || echo \"$process is running\"\ndone\n\
         parts=/usr/libexec/testbed/k3s/debian/usr\n\
         tables=$(LD_LIBRARY_PATH=$parts/lib/x86_64-linux-gnu:$parts/lib/aarch64-linux-gnu $parts/sbin/nft list tables)\n\
         case $tables in *kube-proxy* | *k3s_masquerade*) echo \"$tables\" ;; esac\n\
         ip route show proto 78"
    );
    let mut different: Vec<String> = stage.bed.shell(host, &gone).lines().map(str::to_owned).collect();
    if unit == "k3s-agent" {
        for left in ["node b", "--namespace=kube-system secret b.node-password.k3s"] {
            different.extend(missing(&format!("{left} is gone"), stage.object(left).is_some()));
        }
    }
    different
}

/// Later releases tell by another sentence that they have written down the snapshot; what is before it is etcd's own.
fn snapshot(stage: &Stage, host: &str, line: &Value) -> Vec<String> {
    let (exit, said) = stage.bed.tried(host, line["cmd"].as_str().unwrap());
    let mut different = differs("exit", &line["exit"], &exit.into());
    for message in ["fetched snapshot", "saved"] {
        let said = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let there = said.into_iter().any(|line| line["level"] == "info" && line["msg"] == message);
        different.extend(missing(&format!("nothing says `{message}`"), there));
    }
    let (directory, name) = line["file"].as_str().unwrap().rsplit_once('/').unwrap();
    let found = stage.bed.shell(host, &format!("ls {directory}"));
    different.extend(missing(&format!("{found} is not called {name}"), matches(name, &found)));
    different.extend(differs(
        "mode",
        &line["facts"]["mode"],
        &mode(stage, host, &format!("{directory}/{found}")).into(),
    ));
    different
}
