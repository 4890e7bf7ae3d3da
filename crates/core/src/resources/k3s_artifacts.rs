//! What of a k3s release the controller fetches once and hands to nodes that have no internet.

use super::tool::published_sum;
use crate::deed::{Deed, K3sArtifacts};
use crate::engine::Act;
use crate::fault::{Cause, Fault};
use crate::names::{Label, Target};
use crate::probe::{File, System};
use crate::version::Version;

/// Where releases are, and where the controller keeps what it fetched of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArtifactSource {
    /// URL above `download/VERSION/`.
    pub url: String,
    /// Directory on the controller.
    pub cache: String,
}

impl ArtifactSource {
    /// Has binary and images of a release for a node's kind of processor in the cache, each with its published sum.
    pub(super) async fn bring(&self, version: &Version, node: &Target, act: &Act<'_>) -> Result<K3sArtifacts, Fault> {
        let architecture = act.look().ask(node, System {}).await?.architecture;
        let suffix = match architecture.as_str() {
            "amd64" => "",
            "arm64" => "-arm64",
            other => {
                return Err(Fault::new(Cause::Failed, node.clone(), "choose the k3s that suits its processor")
                    .said(format!("its architecture is {other}; what can be handed over is amd64 and arm64"))
                    .next("set k3s_airgap: false, and the node fetches k3s by itself"));
            }
        };
        let base = format!("{}/download/{}", self.url, version.as_str().replace('+', "%2B"));
        let sums_url = format!("{base}/sha256sum-{architecture}.txt");
        let images_name = format!("k3s-airgap-images-{architecture}.tar.zst");
        let kept = |what: &str| format!("{}/k3s-{version}-{architecture}-{what}", self.cache);
        let (binary, images) = (kept("binary"), kept("images.tar.zst"));
        // Many nodes of one kind need the same at the same moment.
        let span = Label::of("controller", format_args!("k3s-artifacts-{architecture}"));
        let fetching = async {
            for (name, path) in [(format!("k3s{suffix}"), &binary), (images_name.clone(), &images)] {
                fetch(&format!("{base}/{name}"), &sums_url, path, act).await?;
            }
            Ok(())
        };
        act.holding(span, fetching).await?;
        Ok(K3sArtifacts { binary, images, images_name })
    }
}

/// Fetches a file, unless it is there with its published sum.
async fn fetch(url: &str, sums_url: &str, path: &str, act: &Act<'_>) -> Result<(), Fault> {
    let sha256 = published_sum(&act.look(), sums_url, url).await?;
    let present = act.look().ask(&Target::Controller, File { path: path.to_owned() }).await?;
    if present.is_some_and(|file| file.sha256 == sha256) {
        return Ok(());
    }
    let (url, path) = (url.to_owned(), path.to_owned());
    act.act(&Target::Controller, Deed::Fetch { url, sha256: Some(sha256), member: None, path, mode: 0o644 }).await?;
    Ok(())
}
