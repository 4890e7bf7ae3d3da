//! A node's kernel has what k3s needs.

use crate::contract::node::MissingKernelFeatures;
use crate::contract::{Asked, Contract};
use crate::engine::resource::{Applied, Resource};
use crate::engine::{Act, Look};
use crate::ids::{Label, NodeName, Target};
use crate::run::change::{Diff, Reason};
use crate::run::fault::{Cause, Fault};

/// A node whose kernel misses nothing. What it misses is the operator's to add.
#[derive(Debug)]
pub struct KernelReady {
    /// Which.
    pub node: NodeName,
}

impl Resource for KernelReady {
    type State = Vec<String>;

    fn label(&self) -> Label {
        Label::of(&self.node, "kernel")
    }

    fn target(&self) -> Target {
        Target::Node(self.node.clone())
    }

    fn questions(&self) -> Vec<Asked> {
        vec![self.node.asks(MissingKernelFeatures {})]
    }

    async fn observe(&self, look: &Look<'_>) -> Result<Vec<String>, Fault> {
        look.ask(&self.node, MissingKernelFeatures {}).await
    }

    fn diff(&self, missing: &Vec<String>) -> Diff {
        if missing.is_empty() {
            return Diff::InSync;
        }
        Diff::Blocked(Reason::new(
            format!("the kernel of {} lacks {}", self.node, missing.join(", ")),
            "memory cgroup: add cgroup_enable=memory cgroup_memory=1 to the kernel's command line; \
             vxlan: install linux-modules-extra-raspi; then reboot and run again",
        ))
    }

    async fn apply(&self, _: &Vec<String>, _: &Act<'_>) -> Result<Applied, Fault> {
        Err(Fault::new(Cause::Failed, Resource::target(self), "change the kernel"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::scripted::{Script, check, node01};

    #[test]
    fn a_kernel_that_lacks_something_ends_the_lane() {
        let lacks = "blocked: the kernel of node01 lacks memory cgroup, vxlan";
        for (missing, told) in [(vec![], "in sync"), (vec!["memory cgroup".to_owned(), "vxlan".to_owned()], lacks)] {
            let script = Script::new([says!(node01(), MissingKernelFeatures {} => missing.clone())]);
            check("a kernel", KernelReady { node: node01() }, script, &[told], &[told]);
        }
    }
}
