//! The names that everything else is keyed by: nodes, boards, slots, targets, stages, labels.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it stands; the site's check has already refused what cannot be a name.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    };
}

name! {
    /// A machine of the cluster, by its inventory name.
    NodeName
}
name! {
    /// A Turing Pi board, by the inventory name of its BMC.
    BoardName
}
name! {
    /// Names one step for ever: `node03/root_device`. Plans, journals and tests refer to it.
    Label
}

impl Label {
    /// The label of what a resource called `what` does for `owner`.
    pub fn of(owner: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self::new(format!("{owner}/{what}"))
    }
}

/// A slot of a board, 1 to 4 as printed on it (the BMC's API counts from 0).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Slot(u8);

impl Slot {
    /// A slot by its printed number; `None` outside 1–4.
    pub fn new(number: u8) -> Option<Self> {
        (1..=4).contains(&number).then_some(Self(number))
    }

    /// The printed number, 1 to 4.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Something that is asked and acted on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// The machine that runs `bringup`.
    Controller,
    /// A board's management controller.
    Bmc(BoardName),
    /// A machine of the cluster, over SSH.
    Node(NodeName),
    /// The Kubernetes API.
    Cluster,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controller => f.pad("controller"),
            Self::Bmc(board) => fmt::Display::fmt(board, f),
            Self::Node(node) => fmt::Display::fmt(node, f),
            Self::Cluster => f.pad("cluster"),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One of the seven stages, by its tag. They are in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Command-line tools on the controller.
    Tools,
    /// Operating systems on the boards' modules.
    Flash,
    /// SSH identities of boards and nodes.
    KnownHosts,
    /// The root file system's move to NVMe.
    MoveFs,
    /// Packages, drivers and reboots.
    UpdatePackages,
    /// Kubernetes on the nodes.
    K3s,
    /// Argo CD and the root application.
    Cluster,
}

impl StageName {
    /// All stages in their order.
    pub const ALL: [Self; 7] =
        [Self::Tools, Self::Flash, Self::KnownHosts, Self::MoveFs, Self::UpdatePackages, Self::K3s, Self::Cluster];

    /// The tag that selects this stage.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Flash => "flash",
            Self::KnownHosts => "known_hosts",
            Self::MoveFs => "move_fs",
            Self::UpdatePackages => "update_packages",
            Self::K3s => "k3s",
            Self::Cluster => "cluster",
        }
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.tag())
    }
}

impl FromStr for StageName {
    type Err = ();

    fn from_str(tag: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|stage| stage.tag() == tag).ok_or(())
    }
}
