//! The resources: one idempotent thing on one target each, one file each, by the kind of target.

#[cfg(test)]
#[macro_use]
mod scripted;

mod bmc;
mod cluster;
mod controller;
mod known_host;
mod node;
mod renewed;

pub use bmc::flash_condition::SlotOfNode;
pub use bmc::provisioned_slot::ProvisionedSlot;
pub use bmc::staged_image::StagedImage;
pub use bmc::usb_mode::UsbMode;
pub use cluster::application_healthy::ApplicationHealthy;
pub use cluster::helm_release::{HelmReleaseInstalled, UNINSTALLED};
pub use cluster::kube_object::AppliedObject;
pub use cluster::kubeconfig::Kubeconfig;
pub use cluster::node_marks::NodeMarks;
pub use cluster::ready_workers::ReadyWorkers;
pub use cluster::sealed_keys::{SealedKeysKept, SealedKeysRestored};
pub use cluster::system_deployments::SystemDeployments;
pub use cluster::workload_newer_than_object::WorkloadNewerThanObject;
pub use controller::completion::Completion;
pub use controller::fetched_file::FetchedFile;
pub use controller::helm_plugin::HelmPluginInstalled;
pub use controller::marked_file::MarkedScript;
pub use controller::shell_block::ShellBlock;
pub use controller::tool::{PinnedTool, ToolSource};
pub use known_host::{Host, KnownHost};
pub use node::apt_repository::AptRepository;
pub use node::cloud_init_ended::CloudInitEnded;
pub use node::directory::MadeDirectory;
pub use node::earlier_work_ended::EarlierWorkEnded;
pub use node::gpu_driver::GpuDriverInstalled;
pub use node::k3s::agent::K3sAgent;
pub use node::k3s::artifacts::ArtifactSource;
pub use node::k3s::install::K3sWanted;
pub use node::k3s::server::K3sServer;
pub use node::kernel_ready::KernelReady;
pub use node::maintenance::Membership;
pub use node::maintenance_ended::MaintenanceEnded;
pub use node::nvidia_runtime::NvidiaRuntime;
pub use node::package_upkeep::{PackageUpkeep, Upkeep};
pub use node::packages::InstalledPackages;
pub use node::reboot::Rebooted;
pub use node::root_device::RootDevice;
pub use node::unit_newer_than_file::UnitNewerThanFile;
