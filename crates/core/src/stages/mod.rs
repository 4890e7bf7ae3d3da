//! The seven stages in their order. A stage is a function from the site to the resources that it wants.

mod cluster;
mod flash;
mod k3s;
mod known_hosts;
mod lanes;
mod move_fs;
mod tools;
mod update_packages;
mod usual;

use self::lanes::SiteLanes;
pub use self::lanes::Wanted;
pub use self::tools::SHELL_BLOCKS;
use crate::engine::Lanes;
use crate::ids::StageName;
use crate::site::{Scope, Site};

/// What a site wants, strung on lanes: the controller's, the boards', the nodes' and the cluster's.
pub fn lanes(site: &Site, scope: &Scope, options: &Options) -> Lanes {
    let wanted = Wanted { site, scope, options };
    let mut lanes = SiteLanes::of(&wanted);
    for stage in StageName::ALL.into_iter().filter(|stage| scope.stages.contains(stage)) {
        match stage {
            StageName::Tools => tools::place(&wanted, &mut lanes),
            StageName::Flash => flash::place(&wanted, &mut lanes),
            StageName::KnownHosts => known_hosts::place(&wanted, &mut lanes),
            StageName::MoveFs => move_fs::place(&wanted, &mut lanes),
            StageName::UpdatePackages => update_packages::place(&wanted, &mut lanes),
            StageName::K3s => k3s::place(&wanted, &mut lanes),
            StageName::Cluster => cluster::place(&wanted, &mut lanes),
        }
    }
    lanes.finish()
}

/// What of a run is neither site nor scope.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// A changed host key may replace the recorded one.
    pub accept_changed_host_keys: bool,
    /// Fields of the cluster's objects may be taken over from whoever owns them.
    pub force_conflicts: bool,
    /// Directory on the controller for what is fetched once.
    pub cache: String,
    /// Directory on the controller for what must not be lost.
    pub data: String,
    /// The user's home directory on the controller.
    pub home: String,
    /// `amd64` or `arm64`: the controller's own.
    pub architecture: &'static str,
    /// `linux` or `darwin`: the controller's own.
    pub system: &'static str,
}
