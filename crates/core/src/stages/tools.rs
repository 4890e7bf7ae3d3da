//! Stage `tools`: command-line tools on the controller.

use super::Wanted;
use super::lanes::Lanes;
use crate::engine::Lane;
use crate::names::{StageName, Target};
use crate::resources::{Completion, HelmPluginInstalled, ManagedFile, PinnedTool, ShellBlock, ToolSource};
use crate::site::Settings;

const STAGE: StageName = StageName::Tools;

/// Sums that this build knows; the others are published beside the files.
const HELM_LINUX_AMD64: (&str, &str) = ("3.20.0", "dbb4c8fc8e19d159d1a63dda8db655f9ffa4aac1b9a6b188b34a40957119b286");
const KUBESEAL_LINUX_AMD64: (&str, &str) =
    ("0.35.0", "a34e855d7a52992a093701f7bf5c65d9768a52a4e2c9159d686def742b2c9875");

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut Lanes) {
    if !wanted.scope.controller {
        return;
    }
    let settings = &wanted.site.settings;
    let platform = (wanted.options.system, wanted.options.architecture);
    let lane = lanes.controller();
    let bin_dir = &settings.bin_dir;
    place_binaries(settings, platform, lane);
    let tools = &settings.toolchain;
    // Its releases call darwin macos.
    let system = if platform.0 == "darwin" { "macos" } else { platform.0 };
    let helm_diff = format!("{}/vVERSION", tools.helm_diff_url);
    lane.push(
        STAGE,
        HelmPluginInstalled {
            helm: format!("{bin_dir}/helm"),
            name: "diff",
            url: format!("{helm_diff}/helm-diff-{system}-{}.tgz", platform.1),
            sums_url: format!("{helm_diff}/helm-diff_VERSION_checksums.txt"),
            version: tools.helm_diff_version.clone(),
        },
    );
    let home = &wanted.options.home;
    for tool in ["helm", "kubectl"] {
        let completions = [
            ("bash", format!("{home}/.local/share/bash-completion/completions/{tool}")),
            ("zsh", format!("{home}/.local/share/zsh/site-functions/_{tool}")),
        ];
        for (shell, path) in completions {
            lane.push(STAGE, Completion { tool, tool_path: format!("{bin_dir}/{tool}"), shell, path });
        }
    }
    place_shell(settings, home, lane);
    for (purpose, text) in helper_scripts(&settings.cluster_domain) {
        let path = format!("{bin_dir}/{purpose}");
        lane.push(STAGE, ManagedFile { target: Target::Controller, purpose, path, text, mode: 0o755 });
    }
}

fn place_binaries(settings: &Settings, (system, architecture): (&str, &str), lane: &mut Lane) {
    let tools = &settings.toolchain;
    let here = |(version, sum): (&str, &str)| {
        (system == "linux" && architecture == "amd64").then(|| (version.to_owned(), sum.to_owned()))
    };
    let helm = format!("{}/helm-vVERSION-{system}-{architecture}.tar.gz", tools.helm_url);
    let kubectl = format!("{}/release/vVERSION/bin/{system}/{architecture}/kubectl", tools.kubectl_url);
    let kubeseal = format!("{}/vVERSION", tools.kubeseal_url);
    let bin_dir = || settings.bin_dir.clone();
    lane.push(
        STAGE,
        PinnedTool {
            name: "helm",
            bin_dir: bin_dir(),
            version: Some(tools.helm_version.clone()),
            stable_url: None,
            source: ToolSource {
                sums_url: format!("{helm}.sha256sum"),
                url: helm,
                member: Some(format!("{system}-{architecture}/helm")),
                pinned: here(HELM_LINUX_AMD64),
            },
        },
    );
    let stated = |version: &String| crate::site::Stated { value: version.clone(), stated: true };
    lane.push(
        STAGE,
        PinnedTool {
            name: "kubectl",
            bin_dir: bin_dir(),
            version: tools.kubectl_version.as_ref().map(stated),
            stable_url: Some(format!("{}/release/stable.txt", tools.kubectl_url)),
            source: ToolSource { sums_url: format!("{kubectl}.sha256"), url: kubectl, member: None, pinned: None },
        },
    );
    lane.push(
        STAGE,
        PinnedTool {
            name: "kubeseal",
            bin_dir: bin_dir(),
            version: Some(tools.kubeseal_version.clone()),
            stable_url: None,
            source: ToolSource {
                url: format!("{kubeseal}/kubeseal-VERSION-{system}-{architecture}.tar.gz"),
                sums_url: format!("{kubeseal}/sealed-secrets_VERSION_checksums.txt"),
                member: Some("kubeseal".to_owned()),
                pinned: here(KUBESEAL_LINUX_AMD64),
            },
        },
    );
}

fn place_shell(settings: &Settings, home: &str, lane: &mut Lane) {
    let bin_dir = &settings.bin_dir;
    for (file, completion) in [(".bashrc", "complete -o default -F __start_kubectl k"), (".zshrc", "compdef k=kubectl")]
    {
        let mut text = format!("export PATH=\"{bin_dir}:$PATH\"\nalias k=kubectl\n");
        if file == ".zshrc" {
            text.push_str(
                "fpath=(\"$HOME/.local/share/zsh/site-functions\" $fpath)\nautoload -Uz compinit && compinit\n",
            );
        } else {
            text.push_str("source <(kubectl completion bash)\n");
        }
        text.push_str(completion);
        text.push('\n');
        lane.push(STAGE, ShellBlock { path: format!("{home}/{file}"), name: "bringup", text, if_present: None });
    }
    if let Some(theme) = &settings.zsh_theme {
        lane.push(
            STAGE,
            ShellBlock {
                path: format!("{home}/.zshrc"),
                name: "bringup-theme",
                text: format!("ZSH_THEME=\"{theme}\"\nsource \"$ZSH/oh-my-zsh.sh\"\n"),
                if_present: Some(format!("{home}/.oh-my-zsh")),
            },
        );
    }
}

/// Ways to the cluster's own pages, for when its ingress is not there yet.
fn helper_scripts(domain: &str) -> [(&'static str, String); 4] {
    let script = |page: &str, namespace: &str, service: &str, port: u16, remote: &str| {
        format!(
            "#!/bin/sh\n# Opens a way to {page} until it is interrupted; through the ingress: https://{page}.{domain}\n\
             echo \"{page}: https://localhost:{port}\"\n\
             exec kubectl port-forward -n {namespace} {service} {port}:{remote}\n"
        )
    };
    [
        ("argo.sh", script("argocd", "argo-cd", "service/argocd-server", 8080, "443")),
        ("grafana.sh", script("grafana", "monitoring", "service/grafana-prometheus", 3000, "80")),
        ("dashboard.sh", script("headlamp", "headlamp", "service/headlamp", 8443, "80")),
        ("longhorn.sh", script("longhorn", "longhorn", "service/longhorn-frontend", 8090, "80")),
    ]
}
