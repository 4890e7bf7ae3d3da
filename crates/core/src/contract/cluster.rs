//! The cluster, through its Kubernetes API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::contract::{
    Cluster, Fields, ForeseenState, KubeNodeState, ObjectId, ObjectState, ReleaseState, SealedKeysState,
};
use crate::ids::NodeName;
use crate::version::Version;

vocabulary! { Cluster:
    questions {
        /// Whether its API answers as ready.
        ApiReady {} -> bool = ("see whether its API is ready"), within 1 min;

        /// A Node. `None`: there is none.
        KubeNode {
            /// Its name.
            name: NodeName,
        } -> Option<KubeNodeState> = ("read Node {name}"), within 1 min;

        /// The nodes that bear our maintenance mark.
        InMaintenance {} -> BTreeSet<NodeName> = ("see which Nodes are in maintenance"), within 1 min;

        /// Names of all Nodes that are Ready.
        ReadyNodes {} -> BTreeSet<NodeName> = ("see which Nodes are Ready"), within 1 min;

        /// Those of these Deployments that have all their replicas ready.
        ReadyDeployments {
            /// In which namespace.
            namespace: String,
            /// Their names.
            names: BTreeSet<String>,
        } -> BTreeSet<String> = ("see which Deployments of {namespace} are ready"), within 1 min;

        /// A Helm release. `None`: there is none.
        HelmRelease {
            /// In which namespace.
            namespace: String,
            /// Its name.
            name: String,
        } -> Option<ReleaseState> = ("read release {namespace}/{name}"), within 1 min;

        /// An object's own fields. `None`: there is none.
        KubeObject {
            /// Which.
            id: ObjectId,
        } -> Option<ObjectState> = ("read {id}"), within 1 min;

        /// What applying an object would make of it, as the API says that would come of it.
        ForeseenObject {
            /// Which.
            id: ObjectId,
            /// The fields that it shall have.
            fields: Fields,
            /// The fields that it shall have where nobody else gives them another value.
            defaults: Fields,
            /// Whether fields are taken over from others.
            force: bool,
        } -> ForeseenState = ("see what applying {id} would change"), within 1 min;

        /// The keys of sealed-secrets, without which nothing that was sealed for this cluster can be read.
        SealedSecretsKeys {} -> SealedKeysState = ("read the keys of sealed-secrets"), within 1 min;

        /// When the oldest pod of a workload started, in seconds of the cluster's clock. `None`: no pod.
        PodsSince {
            /// In which namespace.
            namespace: String,
            /// Value of their label `app.kubernetes.io/name`.
            name: String,
        } -> Option<u64> = ("see since when the pods of {namespace}/{name} run"), within 1 min;
    }

    actions {
        /// Cordon a node and put our maintenance mark on it.
        Cordon {
            /// Which.
            node: NodeName,
        } = ("cordon {node}"), within 2 min;

        /// Evict a node's pods. A disruption budget that holds it up is a fault of cause `Refused`.
        Drain {
            /// Which.
            node: NodeName,
        } = ("drain {node}"), within 10 min;

        /// Uncordon a node and take our mark away.
        Uncordon {
            /// Which.
            node: NodeName,
        } = ("uncordon {node}"), within 2 min;

        /// Delete a Node and its node-password secret.
        DeleteNode {
            /// Which.
            node: NodeName,
        } = ("delete Node {node} and its node-password secret"), within 2 min;

        /// Set labels and taints of a Node, leaving its others.
        MarkNode {
            /// Which.
            node: NodeName,
        } with {
            /// Labels to set.
            labels: BTreeMap<String, String>,
            /// Taints to add.
            taints: BTreeSet<String>,
        } = ("set labels and taints of {node}"), within 2 min;

        /// Install or upgrade a Helm release.
        InstallRelease {
            /// In which namespace.
            namespace: String,
            /// Its name.
            name: String,
            /// Its version.
            version: Version,
        } with {
            /// The chart.
            chart: String,
            /// Values.
            values: Value,
            /// The run that forces it, for the mark.
            run: Option<String>,
        } = ("install release {namespace}/{name} {version}"), within 15 min;

        /// Uninstall a Helm release, if the chart that comes in its place can be had; what its Applications manage stays.
        UninstallRelease {
            /// In which namespace.
            namespace: String,
            /// Its name.
            name: String,
        } with {
            /// The chart that comes in its place, as for an installation.
            chart: String,
            /// The chart's version.
            version: Version,
        } = ("uninstall release {namespace}/{name}"), within 15 min;

        /// Apply an object, server side, owning only the fields given.
        ApplyObject {
            /// Which.
            id: ObjectId,
        } with {
            /// The fields.
            fields: Value,
            /// Whether fields that others own are taken over.
            force: bool,
        } = ("apply {id}"), within 5 min;

        /// Write sealed-secrets' keys to a directory on the controller, encrypted, 0600.
        BackUpSealedKeys {
            /// Absolute path of the directory.
            to: String,
        } with {
            /// For whom: age recipients.
            recipients: Vec<String>,
        } = ("back sealed-secrets' keys up to {to}"), within 2 min;

        /// Put sealed-secrets' keys back that are not there.
        RestoreSealedKeys {
            /// Absolute path of the encrypted file on the controller.
            from: String,
        } with {
            /// Absolute path of the file on the controller with the age identities that can read it.
            identity: String,
        } = ("put sealed-secrets' keys back from {from}"), within 2 min;

        /// Restart a workload's pods.
        RestartWorkload {
            /// In which namespace.
            namespace: String,
            /// Value of their label `app.kubernetes.io/name`.
            name: String,
        } = ("restart the pods of {namespace}/{name}"), within 10 min;
    }
}
