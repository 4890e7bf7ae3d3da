//! What a step waits for.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::contract::{Job, K3sRole, ObjectId, OldWords};
use crate::ids::{Label, NodeName, Span};

/// What a step waits for. Its words follow "wait for".
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Awaited {
    /// The end of a step or a lane of this run.
    End {
        /// Which.
        of: Label,
    },
    /// Something that one step at a time has to itself.
    Span {
        /// Which.
        span: Span,
    },
    /// The end of cloud-init.
    CloudInit,
    /// A node's next boot.
    NextBoot,
    /// That nothing holds dpkg's and apt's locks.
    PackageLocks,
    /// That nothing waits on the BMC's USB bus for a boot.
    NoWaitingModule,
    /// The end of the flash that runs on the board.
    RunningFlash,
    /// That a flashed node lets us in.
    FirstLogin,
    /// That a flashed node shows the host key that was made for it.
    MadeHostKey,
    /// A detached job.
    Job {
        /// Which.
        job: Job,
    },
    /// The end of what earlier runs have begun.
    EarlierWork {
        /// The units of its jobs.
        units: BTreeSet<String>,
    },
    /// k3s' unit runs.
    K3sUp {
        /// On which node.
        node: NodeName,
        /// In which role.
        role: K3sRole,
    },
    /// A Node is Ready.
    NodeReady {
        /// Which.
        node: NodeName,
    },
    /// A Node is Ready, and its kubelet was heard since the last boot.
    NodeReadySinceBoot {
        /// Which.
        node: NodeName,
    },
    /// A Node whose machine runs no k3s stops being Ready.
    NodeNotReady {
        /// Which.
        node: NodeName,
    },
    /// As many Ready workers as the site asks for.
    ReadyWorkers,
    /// The API is reached from a node.
    ApiReached {
        /// `https://ADDRESS:6443`.
        server: String,
        /// From which.
        from: NodeName,
    },
    /// The control plane has the token that agents join with.
    JoinToken {
        /// Which control plane.
        of: NodeName,
    },
    /// Deployments are available.
    Deployments {
        /// Which.
        names: BTreeSet<String>,
    },
    /// An Application is Synced and Healthy.
    ApplicationHealthy {
        /// Which.
        id: ObjectId,
    },
    /// Words from a log of format 0.
    Words(OldWords),
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::End { of } => of.fmt(f),
            Self::Span { span } => span.fmt(f),
            Self::CloudInit => f.write_str("cloud-init to end"),
            Self::NextBoot => f.write_str("the next boot"),
            Self::PackageLocks => f.write_str("dpkg's and apt's locks"),
            Self::NoWaitingModule => f.write_str("the BMC's USB bus to be clear"),
            Self::RunningFlash => f.write_str("the running flash to end"),
            Self::FirstLogin => f.write_str("the first login"),
            Self::MadeHostKey => f.write_str("SSH with the host key made for it"),
            Self::Job { job } => write!(f, "the job {}", job.name()),
            Self::EarlierWork { units } => write!(f, "the end of {}", list(units)),
            Self::K3sUp { node, role } => write!(f, "{} on {node} to be up", role.unit()),
            Self::NodeReady { node } => write!(f, "Node {node} to be Ready"),
            Self::NodeReadySinceBoot { node } => write!(f, "Node {node} to be Ready after its boot"),
            Self::NodeNotReady { node } => write!(f, "Node {node}, whose machine runs no k3s, not to be Ready"),
            Self::ReadyWorkers => f.write_str("enough Ready nodes"),
            Self::ApiReached { server, from } => write!(f, "{server} to be reached from {from}"),
            Self::JoinToken { of } => write!(f, "the join token of {of}"),
            Self::Deployments { names } => write!(f, "{} to be ready", list(names)),
            Self::ApplicationHealthy { id } => write!(f, "{id} to be Synced and Healthy"),
            Self::Words(words) => words.fmt(f),
        }
    }
}

fn list(names: &BTreeSet<String>) -> String {
    names.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}
