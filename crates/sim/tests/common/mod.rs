//! What the tests of the simulated world share: sites, and runs over them.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod swarm;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bringup_core::contract::world::World;
use bringup_core::engine::{Expected, Run, Stop, Walked, walk};
use bringup_core::ids::{BoardName, DiskPath, NodeName, Sha256, Slot, StageName};
use bringup_core::run::event::{Event, Pass};
use bringup_core::run::hazard::{Hazard, Liveness};
use bringup_core::sabotage::Guards;
use bringup_core::site::{
    BmcInterface, Board, Connection, DownloadSource, FlashTransport, Image, Kind, Node, Place, Scope, Service,
    Settings, Site, Stated, Toolchain,
};
use bringup_core::stages::{Options, lanes};
use bringup_core::version::Version;
use bringup_sim::{Approval, SimWorld};
use tokio::sync::watch;

fn connection(name: &str, user: &str) -> Connection {
    Connection {
        host: format!("{name}.lan"),
        port: Stated { value: 22, stated: false },
        user: Stated { value: user.to_owned(), stated: false },
        private_key_file: None,
        password: None,
        become_password: None,
        local: false,
    }
}

/// A board of that name.
pub fn board(name: &str) -> Board {
    Board { name: BoardName::new(name), connection: connection(name, "root"), fingerprints: Vec::new() }
}

/// A node without anything special.
pub fn node(name: &str, kind: Kind, place: Option<(&str, u8)>) -> Node {
    Node {
        name: NodeName::new(name),
        kind,
        place: place.map(|(board, slot)| Place { board: BoardName::new(board), slot: Slot::new(slot).unwrap() }),
        is_member: true,
        connection: connection(name, "ansible"),
        root_dev: (kind == Kind::Rk1).then(|| DiskPath::parse("/dev/nvme0n1").unwrap()),
        nvidia_gpu_node: false,
        workstation: false,
        node_ip: None,
        flannel_iface: None,
        fingerprints: Vec::new(),
    }
}

fn unstated(value: &str) -> Stated<Version> {
    Stated { value: Version::parse(value).unwrap(), stated: false }
}

/// Settings as a site without any would have them.
pub fn settings(control_plane: &str) -> Settings {
    let image = |name: &str, sum: char| Image {
        url: format!("https://images.example/{name}.img.xz"),
        sha256: Sha256::parse(&sum.to_string().repeat(64)).unwrap(),
    };
    let source = |url: &str| DownloadSource { url: url.to_owned(), sha256: None };
    Settings {
        ansible_account: "ansible".to_owned(),
        tpi_user: "root".to_owned(),
        tpi_images_path: "/mnt/sdcard/images".to_owned(),
        bmc_interface: BmcInterface::Auto,
        bin_dir: "/home/user/bin".to_owned(),
        local_domain: ".lan".to_owned(),
        control_plane: Some(NodeName::new(control_plane)),
        cluster_domain: "example.org".to_owned(),
        domain_email: "me@example.org".to_owned(),
        repo_remote: "https://git.example.org/cluster.git".to_owned(),
        repo_branch: "main".to_owned(),
        k3s_version: unstated("v1.33.6+k3s1"),
        k3s_install_url: "https://k3s.example/install.sh".to_owned(),
        k3s_install_sha256: None,
        k3s_artifact_url: None,
        k3s_artifact_sha256: Vec::new(),
        k3s_airgap: false,
        cluster_install_list: vec![Service::Argocd],
        do_flash: true,
        flash_force: false,
        k3s_force: false,
        cluster_force: false,
        ssh_public_keys: vec!["ssh-ed25519 AAAA me".to_owned()],
        flash_transport: FlashTransport::Staged,
        rk1_image: image("rk1", '1'),
        cm4_image: image("cm4", '4'),
        toolchain: Toolchain {
            helm_version: unstated("3.20.0"),
            kubectl_version: None,
            kubeseal_version: unstated("0.35.0"),
            helm_diff_version: unstated("3.14.1"),
            helm: source("https://helm.example"),
            kubectl: source("https://kubectl.example"),
            kubeseal: source("https://kubeseal.example"),
            helm_diff: source("https://helm-diff.example"),
        },
        zsh_theme: Some("robbyrussell".to_owned()),
        nvidia_toolkit_url: "https://nvidia.example".to_owned(),
        nvidia_toolkit_key_sha256: None,
        argocd_chart: "oci://ghcr.io/argoproj/argo-helm/argo-cd".to_owned(),
        argocd_chart_version: unstated("7.8.3"),
        argocd_values: serde_json::json!({}),
        sealed_secrets_recipients: Vec::new(),
        sealed_secrets_identity: None,
        control_plane_taint: Some("node-role.kubernetes.io/control-plane:NoSchedule".to_owned()),
        kubeconfig: "/home/user/.kube/config".to_owned(),
        kubeconfig_context: "turing-pi".to_owned(),
        kubeconfig_set_current: true,
        known_hosts: "/home/user/.ssh/known_hosts".to_owned(),
        reboot_timeout: std::time::Duration::from_secs(900),
    }
}

fn site(name: &str, boards: Vec<Board>, nodes: Vec<Node>, control_plane: &str) -> Site {
    Site { name: name.to_owned(), settings: settings(control_plane), boards, nodes, notices: Vec::new() }
}

/// A board with a CM4 and three RK1, a GPU workstation and a multi-homed NUC.
pub fn one_board() -> Site {
    let mut nodes = vec![node("node01", Kind::Cm4, Some(("turingpi", 1)))];
    for slot in 2..=4 {
        nodes.push(node(&format!("node0{slot}"), Kind::Rk1, Some(("turingpi", slot))));
    }
    nodes.push(Node { nvidia_gpu_node: true, workstation: true, ..node("ws01", Kind::Other, None) });
    let (node_ip, flannel_iface) = (Some("10.99.0.5".to_owned()), Some("enp2s0".to_owned()));
    nodes.push(Node { node_ip, flannel_iface, ..node("nuc01", Kind::Other, None) });
    site("turing-pi", vec![board("turingpi")], nodes, "node01")
}

/// Two boards with eight RK1.
pub fn two_boards() -> Site {
    let mut nodes = Vec::new();
    for (board, first) in [("upper", 1), ("lower", 5)] {
        for slot in 1..=4 {
            nodes.push(node(&format!("node{:02}", first + slot - 1), Kind::Rk1, Some((board, slot))));
        }
    }
    site("two-boards", vec![board("upper"), board("lower")], nodes, "node01")
}

/// Three machines and no board.
pub fn no_board() -> Site {
    let nodes = ["alpha", "beta", "gamma"].map(|name| node(name, Kind::Other, None)).into();
    site("no-board", Vec::new(), nodes, "alpha")
}

/// All of a site.
pub fn everything(site: &Site) -> Scope {
    Scope {
        stages: StageName::ALL.into(),
        controller: true,
        boards: site.boards.iter().map(|board| board.name.clone()).collect(),
        nodes: site.nodes.iter().map(|node| node.name.clone()).collect(),
        named: BTreeSet::new(),
    }
}

pub fn options() -> Options {
    Options {
        accept_changed_host_keys: false,
        force_conflicts: false,
        cache: "/home/user/.cache/bringup".to_owned(),
        data: "/home/user/.local/share/bringup".to_owned(),
        home: "/home/user".to_owned(),
        architecture: "amd64",
        system: "linux",
    }
}

/// What a run left behind.
pub struct Done {
    pub planned: Walked,
    pub applied: Walked,
    pub events: Vec<Event>,
}

impl Done {
    /// Nothing is left to do and nothing went wrong.
    pub fn in_sync(&self) -> bool {
        let tally = self.applied.tally;
        tally.in_sync > 0
            && tally.changed + tally.skipped + tally.blocked + tally.not_converged + tally.failed + tally.later == 0
    }

    /// All steps hold.
    pub fn converged(&self) -> bool {
        let tally = self.applied.tally;
        tally.in_sync + tally.changed > 0 && tally.skipped + tally.blocked + tally.not_converged + tally.failed == 0
    }

    /// The steps that do not hold, with why.
    pub fn troubles(&self) -> Vec<String> {
        use bringup_core::run::event::What;
        let outcomes = self.events.iter().filter_map(|event| match &event.what {
            What::StepEnded { step, outcome, .. } if !outcome.holds() => Some(format!("{step}: {outcome:?}")),
            _ => None,
        });
        outcomes.collect()
    }
}

/// A run over a world: what is to be run, and how.
pub struct Runner<'a> {
    pub site: &'a Arc<Site>,
    pub scope: Scope,
    pub name: String,
    pub guards: Guards,
    /// Which of the planned hazards the operator approves.
    pub approve: &'a (dyn Fn(&Hazard) -> bool + Sync),
    /// The run dies after so many events.
    pub dies_after: Option<usize>,
    /// The operator asks to stop after so many events.
    pub stops_after: Option<usize>,
}

impl<'a> Runner<'a> {
    pub fn new(site: &'a Arc<Site>, name: &str) -> Self {
        Self {
            scope: everything(site),
            site,
            name: name.to_owned(),
            guards: Guards::default(),
            approve: &|hazard| hazard.needs_name().is_none(),
            dies_after: None,
            stops_after: None,
        }
    }

    /// Plans, asks for approval, applies. `None`: it died.
    pub async fn run(&self, world: &SimWorld) -> Option<Done> {
        self.run_through(world, world).await
    }

    /// As [`Self::run`], through a door of the test's own in front of that world.
    pub async fn run_through(&self, sim: &SimWorld, world: &dyn World) -> Option<Done> {
        let lanes = lanes(self.site, &self.scope, &options());
        let events = Mutex::new(Vec::new());
        let (death, dead) = watch::channel(false);
        let stop = Stop::default();
        // One seed that is looked into is shown as it goes: a run that dies gives nothing back.
        let shown = std::env::var_os("BRINGUP_SEED").is_some_and(|seed| !seed.to_string_lossy().contains(".."));
        let collect = |event: Event| {
            let mut events = events.lock().unwrap();
            if shown {
                println!("{}", serde_json::to_string(&event).unwrap_or_default());
            }
            events.push(event);
            if self.dies_after.is_some_and(|most| events.len() >= most) {
                death.send_replace(true);
            }
            if self.stops_after == Some(events.len()) {
                stop.ask();
            }
        };
        let run = |pass, approved, expected| Run {
            world,
            name: self.name.clone(),
            site: self.site.name.clone(),
            pass,
            approved,
            expected,
            stop: stop.clone(),
            forks: 64,
            events: &collect,
            guards: self.guards,
        };
        let mut dead = dead;
        let both = async {
            let planned = walk(&lanes, &run(Pass::Plan, Vec::new(), Expected::default())).await;
            let approved: Vec<Hazard> =
                planned.hazards.iter().filter(|hazard| (self.approve)(hazard)).cloned().collect();
            let named = approved.iter().filter_map(Hazard::needs_name).cloned().collect();
            let forced = self.site.settings.flash_force;
            sim.set_approval(Approval { approved: approved.clone(), forced, named });
            let applied = walk(&lanes, &run(Pass::Apply, approved, planned.expected.clone())).await;
            (planned, applied)
        };
        let (planned, applied) = tokio::select! {
            biased;
            _ = dead.wait_for(|dead| *dead) => return None,
            both = both => both,
        };
        Some(Done { planned, applied, events: events.into_inner().unwrap() })
    }
}

/// Approves whatever is asked, names given.
pub fn approve_all(_: &Hazard) -> bool {
    true
}

/// The liveness that an erasure is about.
pub fn liveness(hazard: &Hazard) -> Option<Liveness> {
    match hazard {
        Hazard::Erase { liveness, .. } => Some(*liveness),
        _ => None,
    }
}
