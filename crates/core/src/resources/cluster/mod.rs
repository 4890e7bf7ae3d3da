//! In the cluster, through its API.

pub(super) mod application_healthy;
pub(super) mod helm_release;
pub(super) mod kube_object;
pub(super) mod kubeconfig;
pub(super) mod node_marks;
pub(super) mod ready_workers;
pub(super) mod sealed_keys;
pub(super) mod system_deployments;
pub(super) mod workload_newer_than_object;
