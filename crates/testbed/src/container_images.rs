//! Images for pods, written as `docker save` writes them: no image can be had from outside, and none is.
//!
//! What is in them is real: Argo CD's and Debian's own programs. How they are put together is ours.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::base;
use crate::failure::{Failure, Tried};
use crate::go_programs::{ARGOCD, ARGOCD_VERSION, COREDNS, COREDNS_VERSION, HELM, PAUSE};
use crate::places;
use crate::records::write_whole;
use crate::run::Run;

/// What images are called. The host in it is nobody's: an image that a node does not have cannot be had.
pub const PAUSE_IMAGE: &str = "testbed.lan/pause:1";

/// A shell and small tools; what pods of tests run.
pub const BUSYBOX_IMAGE: &str = "testbed.lan/busybox:1.35";

/// Argo CD's application controller and repo-server with git and helm. A function, as constants are not put together.
pub fn argocd_image() -> String {
    format!("testbed.lan/argocd:v{ARGOCD_VERSION}")
}

/// CoreDNS. A function, as constants are not put together.
pub fn coredns_image() -> String {
    format!("testbed.lan/coredns:{COREDNS_VERSION}")
}

/// Debian's Redis.
pub const REDIS_IMAGE: &str = "testbed.lan/redis:7.0";

/// Files in the images' directory: what each node needs, and what a node needs that is to run Argo CD.
pub const FILES: [&str; 2] = ["testbed-base.tar", "testbed-argocd.tar"];

/// What Argo CD's and Redis' images hold of Debian. No package's own script runs for it, so there are no accounts.
const PACKAGES: &str = "git,redis-server,busybox,ca-certificates";

/// What of these packages stays away: the most of their size, and nothing that is run.
const LEFT_OUT: [&str; 7] = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/perl*",
    "/usr/lib/*/perl*",
    "/usr/bin/perl*",
    "/usr/lib/systemd/*",
];

/// Accounts in the image: what Argo CD's and Redis' manifests call 999 has a name and a home, which git wants.
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nargocd:x:999:999:Argo CD:/home/argocd:/bin/sh\n";

/// Raise this when something changes that the hash does not see.
const EDITION: &str = "3";

/// Sees to it that the images are in the cache; the directory with [`FILES`].
pub fn provide() -> Result<PathBuf, Failure> {
    let programs = [ARGOCD.provide()?, HELM.provide()?, PAUSE.provide()?, COREDNS.provide()?];
    let cache = places::cache();
    let suite = base::suite();
    let mut hash = Sha256::new();
    let named = programs.iter().filter_map(|path| path.file_name()?.to_str());
    for part in named.chain([&suite, PACKAGES, PASSWD, EDITION]).chain(LEFT_OUT) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hex = hex::encode(&hash.finalize()[..8]);
    let name = format!("container-images-{hex}");
    let directory = cache.join(&name);
    if directory.is_dir() {
        return Ok(directory);
    }
    let making = places::making(&name, base::BOUND)?;
    if directory.is_dir() {
        return Ok(directory);
    }
    eprintln!("making the images for pods {} (a minute, once)", directory.display());
    let begun = Instant::now();
    let unfinished = &making.unfinished;
    let (trees, done) = (unfinished.join("trees"), unfinished.join("done"));
    for path in [&trees, &done] {
        fs::create_dir_all(path).tried(|| format!("make {}", path.display()))?;
    }
    make(&suite, &trees, &done)?;
    fs::rename(&done, &directory).tried(|| format!("name {} as finished", directory.display()))?;
    fs::remove_dir_all(unfinished).tried(|| format!("remove {}", unfinished.display()))?;
    eprintln!("made them in {:.0?}", begun.elapsed());
    Ok(directory)
}

fn make(suite: &str, trees: &Path, done: &Path) -> Result<(), Failure> {
    let debian = trees.join("debian");
    base::extract(suite, PACKAGES, &LEFT_OUT, &debian)?;
    // Whoever runs it brings its own devices.
    fs::remove_dir_all(debian.join("dev")).tried(|| "remove the devices of the image".to_owned())?;
    write_whole(&debian.join("etc/passwd"), PASSWD.as_bytes())?;
    readable(&debian.join("etc/passwd"), 0o644)?;
    readable(&debian.join("tmp"), 0o1777)?;
    fs::create_dir_all(debian.join("home/argocd")).tried(|| "make the home of argocd".to_owned())?;
    std::os::unix::fs::chown(debian.join("home/argocd"), Some(999), Some(999))
        .tried(|| "give argocd its home".to_owned())?;

    let small = trees.join("busybox");
    fs::create_dir_all(&small).tried(|| format!("make {}", small.display()))?;
    copy_busybox(&debian, &small)?;
    let applets = Run::new("chroot").arg(&debian).args(["/bin/busybox", "--list"]).output()?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", small.join("bin").join(applet)).tried(|| format!("link {applet} to busybox"))?;
    }
    let argocd = trees.join("argocd");
    for (program, names) in [(&ARGOCD, ARGOCD.links), (&HELM, &[])] {
        put(&program.path()?, &argocd.join("usr/local/bin").join(program.name))?;
        for name in names {
            let link = argocd.join("usr/local/bin").join(name);
            symlink(program.name, &link).tried(|| format!("make {}", link.display()))?;
        }
    }
    let pause = trees.join("pause");
    put(&PAUSE.path()?, &pause.join("pause"))?;
    let coredns = trees.join("coredns");
    put(&COREDNS.path()?, &coredns.join("coredns"))?;

    let layer = |tree: &Path| Layer::of(tree);
    let (busybox, debian, argocd, pause) = (layer(&small)?, layer(&debian)?, layer(&argocd)?, layer(&pause)?);
    let coredns = layer(&coredns)?;
    let shell = Image { name: BUSYBOX_IMAGE, layers: vec![&busybox], runs: json!({"Cmd": ["sh"]}) };
    let holder = Image { name: PAUSE_IMAGE, layers: vec![&pause], runs: json!({"Entrypoint": ["/pause"]}) };
    let redis = Image {
        name: REDIS_IMAGE,
        layers: vec![&busybox, &debian],
        runs: json!({"Entrypoint": ["/usr/bin/redis-server"], "User": "999", "WorkingDir": "/tmp"}),
    };
    let its_name = argocd_image();
    let argo = Image {
        name: &its_name,
        layers: vec![&busybox, &debian, &argocd],
        runs: json!({"User": "999", "WorkingDir": "/home/argocd"}),
    };
    let its_name = coredns_image();
    let names = Image { name: &its_name, layers: vec![&coredns], runs: json!({"Entrypoint": ["/coredns"]}) };
    save(&[holder, shell, names], &done.join(FILES[0]))?;
    save(&[redis, argo], &done.join(FILES[1]))
}

/// busybox and what it wants of the C library. The static one of Debian dies where a name is looked up, as in `wget`.
fn copy_busybox(from: &Path, to: &Path) -> Result<(), Failure> {
    let script = "for path in bin/busybox lib64 lib/ld-linux* lib/*/ld-linux* lib/*/libc.so.* lib/*/libresolv.so.* \
                  lib/*/libnss_*; do\n  [ ! -e \"$path\" ] || cp --archive --parents \"$path\" \"$1\"\ndone\n";
    Run::new("sh").args(["-e", "-s", "--"]).arg(to).within(from).input(script).output().map(drop)
}

/// A copy with the rights of a program, in a directory that is made for it.
fn put(from: &Path, to: &Path) -> Result<(), Failure> {
    let tried = || format!("copy {} to {}", from.display(), to.display());
    if let Some(directory) = to.parent() {
        fs::create_dir_all(directory).tried(tried)?;
    }
    fs::copy(from, to).tried(tried)?;
    readable(to, 0o755)
}

fn readable(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).tried(|| format!("set the mode of {}", path.display()))
}

/// A file system's difference: a tar.
struct Layer {
    tar: PathBuf,
    sha256: String,
}

impl Layer {
    /// Of all that is in a tree, owned as it is there; beside the tree.
    fn of(tree: &Path) -> Result<Self, Failure> {
        let tar = tree.with_extension("tar");
        tar_of(tree, &tar, &[".".to_owned()])?;
        let sha256 = sum(&tar)?;
        Ok(Self { tar, sha256 })
    }
}

/// Packs things in a directory, the same bytes each time.
fn tar_of(tree: &Path, to: &Path, things: &[String]) -> Result<(), Failure> {
    Run::new("tar")
        .args(["--create", "--sort=name", "--mtime=@0", "--numeric-owner", "--format=gnu"])
        .arg("--file")
        .arg(to)
        .arg("--directory")
        .arg(tree)
        .args(things)
        .bound(base::BOUND)
        .output()
        .map(drop)
}

/// The SHA-256 of a file, in hex.
pub fn sum(path: &Path) -> Result<String, Failure> {
    let mut hash = Sha256::new();
    let tried = || format!("read {}", path.display());
    io::copy(&mut File::open(path).tried(tried)?, &mut hash).tried(tried)?;
    Ok(hex::encode(hash.finalize()))
}

/// An image: layers, the lowest first, and what is run.
struct Image<'a> {
    name: &'a str,
    layers: Vec<&'a Layer>,
    runs: Value,
}

impl Image<'_> {
    /// What the image's own file says.
    fn config(&self) -> Value {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut runs = self.runs.clone();
        runs["Env"] = json!(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
        let layers: Vec<String> = self.layers.iter().map(|layer| format!("sha256:{}", layer.sha256)).collect();
        json!({
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": runs,
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": vec![json!({"created": "1970-01-01T00:00:00Z"}); self.layers.len()],
        })
    }
}

/// Writes images into one file as `docker save` does: a layer that several have is in it once.
fn save(images: &[Image<'_>], to: &Path) -> Result<(), Failure> {
    let tree = to.with_extension("tree");
    let mut manifest = Vec::new();
    let mut things = vec!["manifest.json".to_owned()];
    for image in images {
        let config = image.config().to_string();
        let sha256 = hex::encode(Sha256::digest(&config));
        let config_file = format!("{sha256}.json");
        write_whole(&tree.join(&config_file), config.as_bytes())?;
        let mut layers = Vec::new();
        for layer in &image.layers {
            let name = format!("{}/layer.tar", layer.sha256);
            let path = tree.join(&name);
            if !path.exists() {
                let tried = || format!("put {} into {}", layer.tar.display(), to.display());
                fs::create_dir_all(tree.join(&layer.sha256)).tried(tried)?;
                fs::hard_link(&layer.tar, &path).tried(tried)?;
                things.push(layer.sha256.clone());
            }
            layers.push(name);
        }
        manifest.push(json!({"Config": config_file, "RepoTags": [image.name], "Layers": layers}));
        things.push(config_file);
    }
    write_whole(&tree.join("manifest.json"), json!(manifest).to_string().as_bytes())?;
    tar_of(&tree, to, &things)?;
    fs::remove_dir_all(&tree).tried(|| format!("remove {}", tree.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_images_names_its_layers_by_what_they_hold_and_holds_each_once() {
        let work = tempfile::tempdir().unwrap();
        let tree = work.path().join("tree");
        write_whole(&tree.join("bin/x"), b"x").unwrap();
        let (one, again) = (Layer::of(&tree).unwrap(), Layer::of(&tree).unwrap());
        assert_eq!(one.sha256, again.sha256);
        let image = |name| Image { name, layers: vec![&one], runs: json!({"Cmd": ["/bin/x"]}) };
        let file = work.path().join("images.tar");
        save(&[image("testbed.lan/one:1"), image("testbed.lan/two:1")], &file).unwrap();
        let listed = Run::new("tar").arg("-tf").arg(&file).output().unwrap();
        assert_eq!(listed.matches("layer.tar").count(), 1, "{listed}");
        let manifest = Run::new("tar").arg("-xOf").arg(&file).arg("manifest.json").output().unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        assert_eq!(manifest[1]["RepoTags"][0], "testbed.lan/two:1");
        assert_eq!(manifest[1]["Layers"][0], format!("{}/layer.tar", one.sha256));
        let config = manifest[0]["Config"].as_str().unwrap();
        let config = Run::new("tar").arg("-xOf").arg(&file).arg(config).output().unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", one.sha256));
        assert_eq!(config["config"]["Cmd"][0], "/bin/x");
    }
}
