//! The controller: the machine that this program runs on, with its files, its tools and its way to the web.

use crate::contract::{
    Controller, FileState, KnownHostsState, KubeconfigState, RememberedState, SealedKeysBackupState,
};
use crate::ids::{NodeName, Sha256};
use crate::text::known_hosts::HostKey;
use crate::text::kubeconfig::ClusterAccess;
use crate::text::secret::Secret;
use crate::text::shell::Shell;
use crate::version::Version;

/// What a file shall hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Text that anyone may see.
    Plain(String),
    /// Text that nobody may see: the file is made 0600 before it is filled.
    Hidden(Secret),
}

impl Content {
    /// What of it nobody may see.
    pub fn secrets(&self) -> Vec<Secret> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Hidden(secret) => vec![secret.clone()],
        }
    }
}

/// An SSH host key with both halves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostKeyPair {
    /// The text of the private key's file, as OpenSSH writes it.
    pub private: Secret,
    /// The public half.
    pub public: HostKey,
}

/// The names of hosts whose entries change, in order, each once.
fn names_in<'a>(remove: &'a [String], add: &'a [(String, HostKey)]) -> String {
    let mut names: Vec<&str> = add.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(remove.iter().map(String::as_str));
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

vocabulary! { Controller:
    questions {
        /// A file. `None`: there is none.
        File {
            /// Absolute path.
            path: String,
        } -> Option<FileState> = ("read {path}"), within 15 min;

        /// Whether a directory is there.
        Directory {
            /// Absolute path.
            path: String,
        } -> bool = ("look for {path}"), within 1 min;

        /// When a file was last written, in seconds of its clock. `None`: there is none.
        Modified {
            /// Absolute path.
            path: String,
        } -> Option<u64> = ("see when {path} was written"), within 1 min;

        /// Whether a file has this line. `None`: there is no file.
        HasLine {
            /// Absolute path.
            path: String,
            /// The line, without its end.
            line: String,
        } -> Option<bool> = ("read {path}"), within 1 min;

        /// The text between our two marker lines in a file. `None`: no such block.
        Block {
            /// Absolute path.
            path: String,
            /// The name in the marker lines.
            name: String,
        } -> Option<String> = ("read the block {name} in {path}"), within 1 min;

        /// An installed tool's version, without `v`. `None`: not installed.
        ToolVersion {
            /// Absolute path of the binary.
            path: String,
        } -> Option<String> = ("ask {path} for its version"), within 1 min;

        /// An installed helm plugin's version, without `v`. `None`: not installed.
        HelmPlugin {
            /// Absolute path of helm.
            helm: String,
            /// The plugin's name.
            name: String,
        } -> Option<String> = ("see which version of the helm plugin {name} is installed"), within 1 min;

        /// The text of a small file on the web, such as `stable.txt` or a published checksum.
        WebText {
            /// Where.
            url: String,
        } -> String = ("read {url}"), within 1 min;

        /// What known_hosts says of these names.
        KnownHostLines {
            /// Absolute path of the file.
            path: String,
            /// Names as OpenSSH writes them: `node01.lan`, `[node01.lan]:2222`.
            names: Vec<String>,
        } -> KnownHostsState = ("read {path}"), within 1 min;

        /// A context of a kubeconfig. `None`: no such context.
        KubeconfigContext {
            /// Absolute path of the file.
            path: String,
            /// The context's name.
            context: String,
        } -> Option<KubeconfigState> = ("read context {context} in {path}"), within 1 min;

        /// Whether an earlier run learned of this node, or known_hosts has a key for one of its names.
        Remembered {
            /// Which.
            node: NodeName,
            /// Its names in known_hosts.
            names: Vec<String>,
        } -> RememberedState = ("see whether {node} is known from earlier runs"), within 1 min;

        /// The sum that a file in the cache had when it was fetched from this address, if a sum or TLS proved it then. `None`:
        /// it was not fetched from there, or nothing proved it.
        FetchedSum {
            /// Absolute path.
            path: String,
            /// The address.
            url: String,
        } -> Option<Sha256> = ("read the checksum recorded for {path}"), within 1 min;

        /// The last backup of sealed-secrets' keys that is in a directory. `None`: none is.
        SealedKeysBackup {
            /// Absolute path.
            directory: String,
        } -> Option<SealedKeysBackupState> = ("look for a backup in {directory}"), within 1 min;

        /// A host key that nobody has had before: each time another one is made.
        NewHostKey {
            /// The comment in its file: the name of the host that it is for.
            comment: String,
            /// What it is made for: the instance id of a flash.
            order: String,
        } -> HostKeyPair = ("make a host key for {comment}"), within 1 min, never kept;
    }

    actions {
        /// Fetch a file, check it, put it in place at once.
        Fetch {
            /// From where.
            url: String,
            /// To where.
            path: String,
        } with {
            /// Sum of what is fetched; none where the source publishes none and pins by its address.
            sha256: Option<Sha256>,
            /// Take this member out of the archive that was fetched.
            member: Option<String>,
            /// Permission bits.
            mode: u32,
        } = ("fetch {url} to {path}"), within 60 min;

        /// Write a file, at once.
        WriteFile {
            /// Where.
            path: String,
        } with {
            /// What.
            content: Content,
            /// Permission bits.
            mode: u32,
        } = ("write {path}"), within 2 min, hides (content.secrets());

        /// Make a directory with its parents.
        MakeDirectory {
            /// Where.
            path: String,
        } = ("make directory {path}"), within 2 min;

        /// Put a block between our marker lines in a file, leaving all other lines.
        WriteBlock {
            /// Where.
            path: String,
            /// The name in the marker lines.
            name: String,
        } with {
            /// The lines between them.
            text: String,
        } = ("write our block {name} in {path}"), within 2 min;

        /// Install a helm plugin, out of its release's archive.
        InstallHelmPlugin {
            /// Its name.
            name: String,
            /// Which version.
            version: Version,
        } with {
            /// Absolute path of helm.
            helm: String,
            /// URL of the archive: a gzipped tar with `plugin.yaml` and `bin/NAME` in the directory NAME.
            url: String,
            /// Sum of the archive.
            sha256: Sha256,
        } = ("install helm plugin {name} {version}"), within 10 min;

        /// Let a tool write its shell completion.
        WriteCompletion {
            /// `bash` or `zsh`.
            shell: Shell,
            /// To where.
            path: String,
        } with {
            /// Absolute path of the tool.
            tool: String,
            /// The line that is put below it, which says whose the file is.
            mark: &'static str,
        } = ("write {shell} completion {path}"), within 2 min;

        /// Change known_hosts, if it still is what was looked at.
        EditKnownHosts {
            /// Absolute path of the file.
            path: String,
            /// Names whose entries go.
            remove: Vec<String>,
            /// Entries that come.
            add: Vec<(String, HostKey)>,
        } with {
            /// The version that was looked at; another one there is a fault of cause `Stale`.
            expect: Option<String>,
        } = ("record the host keys of {}", names_in(remove, add)), within 2 min;

        /// Merge a cluster's access into a kubeconfig under a context of its own, 0600.
        MergeKubeconfig {
            /// Absolute path of the file.
            path: String,
            /// The context's name.
            context: String,
        } with {
            /// The access, at the address that the cluster has for others.
            access: ClusterAccess,
            /// Whether a context that is new becomes the current one.
            set_current: bool,
        } = ("merge context {context} into {path}"), within 2 min;
    }
}
