//! Stage `cluster`: Argo CD and the root application, through the API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Wanted;
use super::lanes::SiteLanes;
use crate::contract::ObjectId;
use crate::engine::Need;
use crate::ids::StageName;
use crate::resources::{
    ApplicationHealthy, AppliedObject, HelmReleaseInstalled, NodeMarks, ReadyWorkers, SealedKeysRestored,
    WorkloadNewerThanObject,
};
use crate::site::{Node, Service, Settings};

const STAGE: StageName = StageName::Cluster;
const NAMESPACE: &str = "argo-cd";

/// Argo CD knows no health of Prometheus; this says what its own conditions say, and lets an annotation pass it over.
const PROMETHEUS_HEALTH: &str = r#"local health = { status = "Progressing", message = "waiting for Prometheus to report" }
local annotations = obj.metadata.annotations
if annotations ~= nil and annotations["argocd.argoproj.io/skip-health-check"] == "true" then
  return { status = "Healthy", message = "not checked, as its annotation asks" }
end
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Available" then
      if condition.status == "True" then
        health = { status = "Healthy", message = "available" }
      else
        health = { status = "Degraded", message = condition.message or "not available" }
      end
    end
  end
end
return health
"#;

pub(super) fn place(wanted: &Wanted<'_>, lanes: &mut SiteLanes) {
    let Some(control_plane) = wanted.control_plane() else { return };
    // Through the API, from the controller: without it in scope nothing of this is.
    if !wanted.scope.controller {
        return;
    }
    let lane = lanes.cluster();
    let workers: BTreeSet<_> = wanted
        .site
        .nodes
        .iter()
        .filter(|node| node.is_member && node.name != control_plane.name)
        .map(|node| node.name.clone())
        .collect();
    let alone = workers.is_empty();
    // A machine that becomes no node may still be flashed: nothing here waits for it.
    let nodes = wanted.nodes().filter_map(|node| lanes.node(&node.name));
    let nodes: Vec<Need> = nodes.map(Need::Ended).collect();
    let server = lanes.server.map(Need::Held);
    lanes
        .push(lane, STAGE, ReadyWorkers { control_plane: control_plane.name.clone(), workers })
        .needing(nodes)
        .needing(server);
    let settings = &wanted.site.settings;
    if let Some(taint) = settings.control_plane_taint.as_ref().filter(|_| !alone) {
        place_taint(lanes, control_plane, taint);
    }
    let (directory, identity) = (wanted.sealed_keys(), settings.sealed_secrets_identity.clone());
    // What a control plane that is made anew has kept for it is known once that was done.
    let kept = lanes.sealed_keys;
    lanes.push(lane, STAGE, SealedKeysRestored { directory, identity }).known_after(kept);
    for service in &settings.cluster_install_list {
        match service {
            Service::Argocd => place_argocd(lanes, settings, wanted.options.force_conflicts),
        }
    }
}

fn place_taint(lanes: &mut SiteLanes, control_plane: &Node, taint: &str) {
    lanes.push(
        lanes.cluster(),
        STAGE,
        NodeMarks {
            node: control_plane.name.clone(),
            purpose: "control_plane_taint",
            labels: BTreeMap::new(),
            labels_if_absent: BTreeMap::new(),
            taints: [taint.to_owned()].into(),
        },
    );
}

fn argo(kind: &'static str, name: &str) -> ObjectId {
    object("argoproj.io/v1alpha1", kind, name)
}

fn object(api_version: &'static str, kind: &'static str, name: &str) -> ObjectId {
    ObjectId {
        api_version: api_version.into(),
        kind: kind.into(),
        namespace: NAMESPACE.to_owned(),
        name: name.to_owned(),
    }
}

fn place_argocd(lanes: &mut SiteLanes, settings: &Settings, force: bool) {
    let applied = |id: ObjectId, fields: Value, defaults: Value| AppliedObject { id, fields, defaults, force };
    let (lane, helm) = (lanes.cluster(), lanes.helm.map(Need::Held));
    lanes
        .push(
            lane,
            STAGE,
            HelmReleaseInstalled {
                namespace: NAMESPACE.to_owned(),
                name: "argocd".to_owned(),
                chart: settings.argocd_chart.clone(),
                version: settings.argocd_chart_version.clone(),
                values: settings.argocd_values.clone(),
                force: settings.cluster_force,
            },
        )
        .needing(helm);
    let config = object("v1", "ConfigMap", "argocd-cm");
    let health = "resource.customizations.health.monitoring.coreos.com_Prometheus";
    lanes.push(lane, STAGE, applied(config.clone(), json!({"data": {health: PROMETHEUS_HEALTH}}), json!({})));
    lanes.push(
        lane,
        STAGE,
        WorkloadNewerThanObject {
            namespace: NAMESPACE.to_owned(),
            name: "argocd-application-controller".to_owned(),
            object: config,
        },
    );
    let any = json!([{"group": "*", "kind": "*"}]);
    let about = json!({"spec": {"description": "what this cluster runs"}});
    let project = json!({"spec": {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": any,
    }});
    lanes.push(lane, STAGE, applied(argo("AppProject", "kubernetes"), project, about));
    let root = argo("Application", "all-cluster-services");
    lanes.push(lane, STAGE, applied(root.clone(), root_application(settings), retry()));
    let ingress = object("networking.k8s.io/v1", "Ingress", "argocd-ingress");
    lanes.push(lane, STAGE, applied(ingress, argocd_ingress(settings), json!({})));
    lanes.push(lane, STAGE, ApplicationHealthy { id: root });
}

fn root_application(settings: &Settings) -> Value {
    json!({"spec": {
        "project": "kubernetes",
        "source": {
            "repoURL": settings.repo_remote,
            "targetRevision": settings.repo_branch,
            "path": "kubernetes-services",
            "helm": {"valuesObject": {
                "repo_remote": settings.repo_remote,
                "cluster_domain": settings.cluster_domain,
                "domain_email": settings.domain_email,
            }},
        },
        "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
        "syncPolicy": {
            "automated": {"prune": true, "selfHeal": true},
            "retry": {"limit": 3},
        },
    }})
}

/// How fast the root application tries again, where nobody says otherwise.
fn retry() -> Value {
    json!({"spec": {"syncPolicy": {"retry": {"backoff": {"duration": "30s", "factor": 2, "maxDuration": "10m"}}}}})
}

fn argocd_ingress(settings: &Settings) -> Value {
    let host = format!("argocd.{}", settings.cluster_domain);
    let backend = json!({"service": {"name": "argocd-server", "port": {"name": "https"}}});
    json!({
        "metadata": {"annotations": {
            "nginx.ingress.kubernetes.io/ssl-passthrough": "true",
            "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS",
        }},
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}],
            "tls": [{"hosts": [host]}],
        },
    })
}
