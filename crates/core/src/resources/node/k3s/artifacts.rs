//! Where k3s' releases come from, and what the controller fetches of one once and hands to nodes that have no internet.

use crate::contract::controller::{Fetch, FetchedSum, File};
use crate::contract::node::{HandOverK3s, System};
use crate::contract::{Contract, Controller};
use crate::engine::{Act, Look};
use crate::ids::{NodeName, Sha256, Span, Target};
use crate::resources::controller::tool::{read_sums, sum_of};
use crate::run::fault::{Cause, Fault};
use crate::version::Version;

/// Where releases are, and where the controller keeps what it fetches of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArtifactSource {
    /// URL above `download/VERSION/`.
    pub url: String,
    /// Sums, one of which a release's list of sums must have; empty: not pinned.
    pub sums: Vec<Sha256>,
    /// Directory on the controller.
    pub cache: String,
}

impl ArtifactSource {
    /// Has binary and images of a release for a node's kind of processor in the cache, each with its published sum.
    pub(in crate::resources) async fn bring(
        &self,
        version: &Version,
        node: &NodeName,
        act: &Act<'_>,
    ) -> Result<HandOverK3s, Fault> {
        let architecture = act.look().ask(node, System {}).await?.architecture;
        let suffix = match architecture.as_str() {
            "amd64" => "",
            "arm64" => "-arm64",
            other => {
                return Err(Fault::new(Cause::Failed, node.target(), "choose the k3s that suits its processor")
                    .said(format!("its architecture is {other}; what can be handed over is amd64 and arm64"))
                    .next("set k3s_airgap: false, and the node fetches k3s by itself"));
            }
        };
        let base = format!("{}/download/{}", self.url, version.as_str().replace('+', "%2B"));
        let sums_url = format!("{base}/sha256sum-{architecture}.txt");
        let images_name = format!("k3s-airgap-images-{architecture}.tar.zst");
        // Sites with other mirrors may use the same cache at the same moment.
        let source = Sha256::of(&self.url).short();
        let kept = |what: &str| format!("{}/k3s-{version}-{architecture}-{source}-{what}", self.cache);
        let (binary, images) = (kept("binary"), kept("images.tar.zst"));
        // Many nodes of one kind need the same at the same moment.
        let span = Span::K3sArtifacts(architecture.to_owned());
        let fetching = async {
            for (name, path) in [(format!("k3s{suffix}"), &binary), (images_name.clone(), &images)] {
                self.fetch(&format!("{base}/{name}"), &sums_url, path, act).await?;
            }
            Ok(())
        };
        act.holding(span, fetching).await?;
        Ok(HandOverK3s { version: version.clone(), binary, images, images_name })
    }

    /// Fetches a file, unless it is there with its published sum. Where the site pins nothing, the sum that was recorded
    /// when the file was fetched is enough, and the list is not read again.
    async fn fetch(&self, url: &str, sums_url: &str, path: &str, act: &Act<'_>) -> Result<(), Fault> {
        let look = act.look();
        let (url, path) = (url.to_owned(), path.to_owned());
        let present = look.ask(&Controller, File { path: path.clone() }).await?.map(|file| file.sha256);
        if self.sums.is_empty() && present.is_some() {
            let fetched = look.ask(&Controller, FetchedSum { path: path.clone(), url: url.clone() }).await?;
            if fetched == present {
                return Ok(());
            }
        }
        let sums = self.read_list(sums_url, &look).await?;
        let sha256 = sum_of(&sums, sums_url, &url)?;
        if present == Some(sha256) {
            return Ok(());
        }
        act.act(&Controller, Fetch { url, sha256: Some(sha256), member: None, path, mode: 0o644 }).await?;
        Ok(())
    }

    /// Reads a release's list of sums, and checks it if the site pins any.
    async fn read_list(&self, sums_url: &str, look: &Look<'_>) -> Result<String, Fault> {
        let sums = read_sums(look, sums_url).await?;
        let sha256 = Sha256::of(&sums);
        if self.sums.is_empty() || self.sums.contains(&sha256) {
            return Ok(sums);
        }
        Err(Fault::new(Cause::Mismatch, Target::Controller, format!("check {sums_url}"))
            .said(format!("its sha256 is {sha256}, which is not in k3s_artifact_sha256"))
            .likely("the site states the sum for another release or architecture, or the file was replaced")
            .next("compare it with the list that k3s publishes for that version; nothing was fetched"))
    }
}
