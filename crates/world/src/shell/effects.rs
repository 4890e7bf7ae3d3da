//! Actions on a node, as shell that acts.

use bringup_core::contract::controller::Content;
use bringup_core::contract::node::{
    Action, ControlUnit, FetchKeyring, FetchSnapshot, HandOverK3s, InstallK3s, MakeDirectory, Reboot, StartJob,
    UninstallK3s, WriteFile,
};
use bringup_core::ids::Sha256;

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
            Content::Plain(text) => write_file(path, text, *mode),
            Content::Hidden(secret) => write_file(path, secret.expose(), *mode),
        },
        Action::FetchKeyring(FetchKeyring { url, sha256, path }) => fetch_keyring(url, *sha256, path),
        Action::MakeDirectory(MakeDirectory { path }) => format!("mkdir -p {}", word(path)),
        Action::StartJob(StartJob { job }) => jobs::start(job),
        // Comes back when systemd has taken the order, mostly before the connection dies of it.
        Action::Reboot(Reboot {}) => "systemctl --no-block reboot".to_owned(),
        // The start of a k3s that does not get on comes back after minutes or never: it is ordered, and then watched.
        // What ended again and again before counts as ended: another start has its own count, and its own reasons.
        Action::ControlUnit(ControlUnit { name, action }) => format!(
            "systemctl reset-failed -- {0} 2>/dev/null\nsystemctl --no-block {1} -- {0}",
            word(name),
            action.verb()
        ),
        Action::FetchK3s(fetch) => k3s::fetch(fetch),
        Action::UninstallK3s(UninstallK3s { role, keep }) => k3s::uninstall(*role, keep),
        Action::InstallK3s(install) => return Acting::WithInstallScript(install, k3s::install(install)),
        Action::HandOverK3s(hand_over) => return Acting::HandOver(hand_over),
        Action::FetchSnapshot(fetch) => return Acting::Snapshot(fetch),
    })
}

/// Written beside its place, seen by nobody else until it is whole, and moved there in one go. `printf` is part of the
/// shell: the text shows in no process list.
fn write_file(path: &str, text: &str, mode: u32) -> String {
    let (path, text) = (word(path), word(text));
    format!(
        "umask 077; path={path}\n{}\n[ -d \"${{path%/*}}\" ] || (umask 022; mkdir -p \"${{path%/*}}\") || exit 1\n\
         new=$(mktemp \"$path.XXXXXX\") && printf '%s' {text} > \"$new\" && chmod {mode:04o} \"$new\" && sync -d \"$new\" \
         && mv -f \"$new\" \"$path\" && exit 0\n\
         rm -f \"$new\"; no_room \"${{path%/*}}\"; exit 1",
        NO_ROOM
    )
}

/// apt's own helper fetches: a minimal Debian has neither curl nor wget. A key in armour is taken out of it, as apt
/// wants it for `signed-by` a `.gpg`. The helper refuses a file with another sum, and a redirection from https to http.
fn fetch_keyring(url: &str, sha256: Option<Sha256>, path: &str) -> String {
    let sum = sha256.map(|sha256| format!(" {}", word(&format!("SHA256:{sha256}")))).unwrap_or_default();
    let (url, path) = (word(url), word(path));
    format!(
        "new=$(mktemp {path}.XXXXXX) && rm -f \"$new\" && /usr/lib/apt/apt-helper -q download-file {url} \"$new\"{sum} \
         || {{ rm -f \"$new.FAILED\"; exit 1; }}\n\
         if grep -q '^-----BEGIN PGP PUBLIC KEY BLOCK-----' \"$new\"; then\n\
         tr -d '\\r' < \"$new\" | sed -n '/^-----BEGIN/,/^-----END/p' | sed -e '1,/^$/d' -e '/^=/d' -e '/^-----END/d' \
         | base64 -d > \"$new.bin\" && [ -s \"$new.bin\" ] && mv \"$new.bin\" \"$new\" || {{ rm -f \"$new\" \"$new.bin\"; exit 1; }}\n\
         fi\n\
         # A public key begins with a packet of kind 6 (RFC 9580, 4.2); a web page does not.\n\
         case $(od -A n -t x1 -N 1 \"$new\") in *98 | *99 | *9a | *c6) ;;\n\
         *) rm -f \"$new\"; echo 'what came is no OpenPGP key' >&2; exit 1;; esac\n\
         chmod 0644 \"$new\" && mv -f \"$new\" {path}"
    )
}
