//! What k3s puts into a new cluster: the objects of the real one by name and label, in pods of the testbed's images.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::write;
use super::node::{DNS, DOMAIN, Node};
use super::processes::program;
use super::say;
use super::server::own_kubeconfig;
use super::{DATA, Minor, addons};
use crate::container_images::{BUSYBOX_IMAGE, coredns_image};

/// How often applying is tried: the API server may not have made all namespaces yet.
const TRIES: u32 = 30;

fn directory() -> PathBuf {
    Path::new(DATA).join("server/manifests")
}

/// Writes them down, without those that are disabled.
pub fn write_all(node: &Node, minor: Minor, disabled: &[String]) -> Result<(), String> {
    let wanted = |name: &str| !disabled.iter().any(|other| other == name);
    let put = |name: &str, text: &str| write(&directory().join(name), text, 0o600);
    put("rolebindings.yaml", ROLES)?;
    put("ccm.yaml", &endpoints(node))?;
    if minor >= Minor::OF_TODAY {
        put("runtimes.yaml", &runtimes())?;
    }
    if wanted("coredns") {
        put("coredns.yaml", &coredns())?;
    }
    if wanted("local-storage") {
        put("local-storage.yaml", &local_storage())?;
    }
    if wanted("metrics-server") {
        put("metrics-server/metrics-server-deployment.yaml", &metrics_server())?;
    }
    Ok(())
}

/// Applies what lies there, what others have put there too.
pub fn apply(node: &str) {
    for _ in 0..TRIES {
        let mut kubectl = program("kubectl");
        kubectl.arg("--kubeconfig").arg(own_kubeconfig());
        kubectl.args(["apply", "--server-side", "--force-conflicts", "-R"]);
        kubectl.arg(format!("--field-manager=deploy@{node}")).arg("-f").arg(directory());
        match kubectl.output() {
            Ok(said) if said.status.success() => {
                say::info("Applied manifests");
                return addons::write_down(&directory());
            }
            Ok(said) => say::error(&format!("failed to apply: {}", String::from_utf8_lossy(&said.stderr).trim())),
            Err(why) => say::error(&format!("failed to apply: {why}")),
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

const ROLES: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:k3s-controller
rules:
- apiGroups: [\"\"]
  resources: [nodes]
  verbs: [get, list, watch, update, patch]
- apiGroups: [\"\"]
  resources: [nodes/status]
  verbs: [patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: system:k3s-controller
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:k3s-controller
subjects:
- apiGroup: rbac.authorization.k8s.io
  kind: User
  name: system:k3s-controller
";

/// Names of runtimes that pods may ask for, whether a node has them or not.
const RUNTIMES: [&str; 10] =
    ["crun", "lunatic", "nvidia", "nvidia-experimental", "slight", "spin", "wasmedge", "wasmer", "wasmtime", "wws"];

fn runtimes() -> String {
    let one = |name: &&str| {
        format!("apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n  name: {name}\nhandler: {name}\n")
    };
    RUNTIMES.iter().map(one).collect::<Vec<_>>().join("---\n")
}

/// Where pods find the API server: at the supervisor of this node.
fn endpoints(node: &Node) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kubernetes
  namespace: default
  labels:
    kubernetes.io/service-name: kubernetes
addressType: IPv4
endpoints:
- addresses: [{}]
  conditions:
    ready: true
ports:
- name: https
  port: 6443
  protocol: TCP
",
        node.address
    )
}

/// CoreDNS as the real one has it, in an image of the testbed's.
fn coredns() -> String {
    let image = coredns_image();
    format!(
        "apiVersion: v1
kind: ServiceAccount
metadata:
  name: coredns
  namespace: kube-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:coredns
rules:
- apiGroups: [\"\"]
  resources: [endpoints, services, pods, namespaces]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: system:coredns
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:coredns
subjects:
- kind: ServiceAccount
  name: coredns
  namespace: kube-system
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: coredns
  namespace: kube-system
data:
  Corefile: |
    .:53 {{
        errors
        health
        ready
        kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
          pods insecure
          fallthrough in-addr.arpa ip6.arpa
        }}
        forward . /etc/resolv.conf
        cache 30
        loop
        reload
        loadbalance
    }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: coredns
  namespace: kube-system
  labels:
    k8s-app: kube-dns
    kubernetes.io/name: CoreDNS
spec:
  selector:
    matchLabels:
      k8s-app: kube-dns
  template:
    metadata:
      labels:
        k8s-app: kube-dns
    spec:
      priorityClassName: system-cluster-critical
      serviceAccountName: coredns
      dnsPolicy: Default
      nodeSelector:
        kubernetes.io/os: linux
      tolerations:
      - key: CriticalAddonsOnly
        operator: Exists
      - key: node-role.kubernetes.io/control-plane
        operator: Exists
        effect: NoSchedule
      containers:
      - name: coredns
        image: {image}
        imagePullPolicy: IfNotPresent
        args: [-conf, /etc/coredns/Corefile]
        ports:
        - {{name: dns, containerPort: 53, protocol: UDP}}
        - {{name: dns-tcp, containerPort: 53, protocol: TCP}}
        readinessProbe:
          httpGet: {{path: /ready, port: 8181}}
          periodSeconds: 2
        livenessProbe:
          httpGet: {{path: /health, port: 8080}}
          initialDelaySeconds: 60
        volumeMounts:
        - name: config
          mountPath: /etc/coredns
          readOnly: true
      volumes:
      - name: config
        configMap:
          name: coredns
---
apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  labels:
    k8s-app: kube-dns
    kubernetes.io/cluster-service: \"true\"
    kubernetes.io/name: CoreDNS
spec:
  clusterIP: {DNS}
  selector:
    k8s-app: kube-dns
  ports:
  - {{name: dns, port: 53, protocol: UDP}}
  - {{name: dns-tcp, port: 53, protocol: TCP}}
"
    )
}

fn local_storage() -> String {
    format!(
        "apiVersion: v1
kind: ServiceAccount
metadata:
  name: local-path-provisioner-service-account
  namespace: kube-system
---
{}---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local-path
  annotations:
    storageclass.kubernetes.io/is-default-class: \"true\"
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
",
        idle("local-path-provisioner", "app")
    )
}

fn metrics_server() -> String {
    idle("metrics-server", "k8s-app")
}

/// A Deployment that is there, is ready, and does nothing.
fn idle(name: &str, label: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  namespace: kube-system
  labels:
    {label}: {name}
spec:
  replicas: 1
  selector:
    matchLabels:
      {label}: {name}
  template:
    metadata:
      labels:
        {label}: {name}
    spec:
      priorityClassName: system-node-critical
      tolerations:
      - key: CriticalAddonsOnly
        operator: Exists
      - key: node-role.kubernetes.io/control-plane
        operator: Exists
        effect: NoSchedule
      terminationGracePeriodSeconds: 1
      containers:
      - name: {name}
        image: {BUSYBOX_IMAGE}
        imagePullPolicy: IfNotPresent
        command: [sleep, \"2147483647\"]
"
    )
}
