//! Stage `tools`: command-line tools on the controller.

use super::Wanted;
use super::lanes::SiteLanes;
use crate::engine::LaneId;
use crate::ids::{Sha256, StageName};
use crate::resources::{Completion, HelmPluginInstalled, MarkedScript, PinnedTool, ShellBlock, ToolSource};
use crate::site::Settings;
use crate::text::shell::{self, Forward, Shell};
use crate::version::Version;

const STAGE: StageName = StageName::Tools;

/// Sums that this build knows; the others are published beside the files.
const HELM_LINUX_AMD64: (&str, Sha256) =
    ("3.20.0", Sha256::known("dbb4c8fc8e19d159d1a63dda8db655f9ffa4aac1b9a6b188b34a40957119b286"));
const KUBESEAL_LINUX_AMD64: (&str, Sha256) =
    ("0.35.0", Sha256::known("a34e855d7a52992a093701f7bf5c65d9768a52a4e2c9159d686def742b2c9875"));

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    if !wanted.scope.controller {
        return;
    }
    let settings = &wanted.site.settings;
    let platform = (wanted.options.system, wanted.options.architecture);
    let home = &wanted.options.home;
    place_helm(settings, platform, home, lanes);
    place_kubectl(settings, platform, home, lanes);
    place_kubeseal(settings, platform, lanes);
    let files = lanes.add_controller_lane("files");
    place_shell(settings, home, files, lanes);
    for (purpose, forward) in HELPER_SCRIPTS {
        let path = format!("{}/{purpose}", settings.bin_dir);
        lanes.push(files, STAGE, MarkedScript::new(purpose, path, &forward.script(&settings.cluster_domain)));
    }
}

/// A version and a sum that this build knows, where they are this platform's.
fn known((system, architecture): (&str, &str), (version, sum): (&str, Sha256)) -> Option<(String, Sha256)> {
    (system == "linux" && architecture == "amd64").then(|| (version.to_owned(), sum))
}

fn place_helm(settings: &Settings, platform: (&str, &str), home: &str, lanes: &mut SiteLanes) {
    let lane = lanes.add_controller_lane("helm");
    let (tools, bin_dir, (system, architecture)) = (&settings.toolchain, &settings.bin_dir, platform);
    let helm = format!("{}/helm-vVERSION-{system}-{architecture}.tar.gz", tools.helm.url);
    let tool = lanes.push(
        lane,
        STAGE,
        PinnedTool {
            name: "helm",
            bin_dir: bin_dir.clone(),
            version: Some(tools.helm_version.clone()),
            stable_url: None,
            source: ToolSource {
                sums_url: format!("{helm}.sha256sum"),
                url: helm,
                member: Some(format!("{system}-{architecture}/helm")),
                pinned: known(platform, HELM_LINUX_AMD64),
                sha256: tools.helm.sha256,
            },
        },
    );
    lanes.helm = Some(tool.id());
    place_completions("helm", bin_dir, home, lane, lanes);
    // Its releases call darwin macos.
    let system = if system == "darwin" { "macos" } else { system };
    let helm_diff = format!("{}/vVERSION", tools.helm_diff.url);
    lanes.push(
        lane,
        STAGE,
        HelmPluginInstalled {
            helm: format!("{bin_dir}/helm"),
            name: "diff",
            url: format!("{helm_diff}/helm-diff-{system}-{architecture}.tgz"),
            sums_url: format!("{helm_diff}/helm-diff_VERSION_checksums.txt"),
            sha256: tools.helm_diff.sha256,
            version: tools.helm_diff_version.clone(),
        },
    );
}

fn place_kubectl(settings: &Settings, (system, architecture): (&str, &str), home: &str, lanes: &mut SiteLanes) {
    let lane = lanes.add_controller_lane("kubectl");
    let (tools, bin_dir) = (&settings.toolchain, &settings.bin_dir);
    let kubectl = format!("{}/release/vVERSION/bin/{system}/{architecture}/kubectl", tools.kubectl.url);
    let stated = |version: &Version| crate::site::Stated { value: version.clone(), stated: true };
    lanes.push(
        lane,
        STAGE,
        PinnedTool {
            name: "kubectl",
            bin_dir: bin_dir.clone(),
            version: tools.kubectl_version.as_ref().map(stated),
            stable_url: Some(format!("{}/release/stable.txt", tools.kubectl.url)),
            source: ToolSource {
                sums_url: format!("{kubectl}.sha256"),
                url: kubectl,
                member: None,
                pinned: None,
                sha256: tools.kubectl.sha256,
            },
        },
    );
    place_completions("kubectl", bin_dir, home, lane, lanes);
}

fn place_kubeseal(settings: &Settings, platform: (&str, &str), lanes: &mut SiteLanes) {
    let lane = lanes.add_controller_lane("kubeseal");
    let (tools, (system, architecture)) = (&settings.toolchain, platform);
    let kubeseal = format!("{}/vVERSION", tools.kubeseal.url);
    lanes.push(
        lane,
        STAGE,
        PinnedTool {
            name: "kubeseal",
            bin_dir: settings.bin_dir.clone(),
            version: Some(tools.kubeseal_version.clone()),
            stable_url: None,
            source: ToolSource {
                url: format!("{kubeseal}/kubeseal-VERSION-{system}-{architecture}.tar.gz"),
                sums_url: format!("{kubeseal}/sealed-secrets_VERSION_checksums.txt"),
                member: Some("kubeseal".to_owned()),
                pinned: known(platform, KUBESEAL_LINUX_AMD64),
                sha256: tools.kubeseal.sha256,
            },
        },
    );
}

fn place_completions(tool: &'static str, bin_dir: &str, home: &str, lane: LaneId, lanes: &mut SiteLanes) {
    let completions = [
        (Shell::Bash, format!("{home}/.local/share/bash-completion/completions/{tool}")),
        (Shell::Zsh, format!("{home}/.local/share/zsh/site-functions/_{tool}")),
    ];
    for (shell, path) in completions {
        lanes.push(lane, STAGE, Completion { tool, tool_path: format!("{bin_dir}/{tool}"), shell, path });
    }
}

/// The files that blocks of ours stand in, below the home directory, and the blocks' names.
pub const SHELL_BLOCKS: [(&str, &str); 3] = [(".bashrc", BLOCK), (".zshrc", BLOCK), (".zshrc", THEME_BLOCK)];
const BLOCK: &str = "bringup";
const THEME_BLOCK: &str = "bringup-theme";

fn place_shell(settings: &Settings, home: &str, lane: LaneId, lanes: &mut SiteLanes) {
    for shell in [Shell::Bash, Shell::Zsh] {
        let (path, text) = (format!("{home}/{}", shell.start_up_file()), shell::start_up(shell, &settings.bin_dir));
        lanes.push(lane, STAGE, ShellBlock { path, name: BLOCK, text, if_present: None });
    }
    if let Some(theme) = &settings.zsh_theme {
        lanes.push(
            lane,
            STAGE,
            ShellBlock {
                path: format!("{home}/.zshrc"),
                name: THEME_BLOCK,
                text: shell::zsh_theme(theme),
                if_present: Some(format!("{home}/.oh-my-zsh")),
            },
        );
    }
}

const HELPER_SCRIPTS: [(&str, Forward); 4] = [
    ("argo.sh", forward("argocd", "argo-cd", "service/argocd-server", 8080, 443)),
    ("grafana.sh", forward("grafana", "monitoring", "service/grafana-prometheus", 3000, 80)),
    ("dashboard.sh", forward("headlamp", "headlamp", "service/headlamp", 8443, 80)),
    ("longhorn.sh", forward("longhorn", "longhorn", "service/longhorn-frontend", 8090, 80)),
];

const fn forward(
    page: &'static str,
    namespace: &'static str,
    service: &'static str,
    port: u16,
    remote: u16,
) -> Forward {
    Forward { page, namespace, service, port, remote }
}
