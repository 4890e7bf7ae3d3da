//! Actions on a node, as shell that acts.

use bringup_core::contract::controller::Content;
use bringup_core::contract::node::{
    Action, ControlUnit, FetchKeyring, FetchSnapshot, HandOverK3s, InstallK3s, MakeDirectory, Reboot, StartJob,
    UninstallK3s, WriteFile,
};
use bringup_core::ids::Sha256;

use super::piece::Piece;
use super::quote::word;
use super::script::NO_ROOM;
use super::{jobs, k3s};

/// How an action on a node is brought about.
#[derive(Debug)]
pub(crate) enum Acting<'a> {
    /// By this piece of script.
    Shell(String),
    /// By this piece of script, once the install script is there.
    WithInstallScript(&'a InstallK3s, String),
    /// By bringing files there.
    HandOver(&'a HandOverK3s),
    /// By bringing files from there.
    Snapshot(&'a FetchSnapshot),
}

/// How an action is brought about.
pub(crate) fn acting(action: &Action) -> Acting<'_> {
    Acting::Shell(match action {
        Action::WriteFile(WriteFile { path, content, mode }) => match content {
            Content::Plain(text) => write_file(path, Piece::new().set("text", text), *mode),
            Content::Hidden(secret) => write_file(path, Piece::new().set_secret("text", secret), *mode),
        },
        Action::FetchKeyring(FetchKeyring { url, sha256, path }) => fetch_keyring(url, *sha256, path),
        Action::MakeDirectory(MakeDirectory { path }) => format!("mkdir -p {}", word(path)),
        Action::StartJob(StartJob { job }) => jobs::start(job),
        // Comes back when systemd has taken the order, mostly before the connection dies of it.
        Action::Reboot(Reboot {}) => "systemctl --no-block reboot".to_owned(),
        Action::ControlUnit(ControlUnit { name, action }) => {
            Piece::new().set("name", name).set("verb", action.verb()).run(script!("control_unit.sh")).text()
        }
        Action::FetchK3s(fetch) => k3s::fetch(fetch),
        Action::UninstallK3s(UninstallK3s { role, keep }) => k3s::uninstall(*role, keep),
        Action::InstallK3s(install) => return Acting::WithInstallScript(install, k3s::install(install)),
        Action::HandOverK3s(hand_over) => return Acting::HandOver(hand_over),
        Action::FetchSnapshot(fetch) => return Acting::Snapshot(fetch),
    })
}

/// Written beside its place, seen by nobody else until it is whole, and moved there in one go.
fn write_file(path: &str, text: Piece, mode: u32) -> String {
    let piece = text.set("path", path).set("mode", format!("{mode:04o}"));
    piece.run(NO_ROOM).run(script!("write_file.sh")).text()
}

/// apt's own helper fetches: a minimal Debian has neither curl nor wget. A key in armour is taken out of it, as apt
/// wants it for `signed-by` a `.gpg`. The helper refuses a file with another sum, and a redirection from https to http.
fn fetch_keyring(url: &str, sha256: Option<Sha256>, path: &str) -> String {
    let sum = sha256.map(|sha256| sha256.to_string()).unwrap_or_default();
    Piece::new().set("url", url).set("sum", sum).set("path", path).run(script!("fetch_keyring.sh")).text()
}
