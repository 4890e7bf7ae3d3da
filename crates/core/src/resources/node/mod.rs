//! On nodes: disks, packages, reboots and k3s.

pub(super) mod apt_repository;
pub(super) mod cloud_init_ended;
pub(super) mod directory;
pub(super) mod earlier_work_ended;
mod file;
pub(super) mod gpu_driver;
mod job;
pub(super) mod k3s;
pub(super) mod kernel_ready;
pub(super) mod maintenance;
pub(super) mod maintenance_ended;
pub(super) mod nvidia_runtime;
pub(super) mod package_upkeep;
pub(super) mod packages;
pub(super) mod reboot;
pub(super) mod root_device;
pub(super) mod unit_newer_than_file;
