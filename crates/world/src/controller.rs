//! The controller itself.

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::names::Target;
use bringup_core::probe::{Answer, KnownHostsState, Probe};

use crate::known_hosts_file::{self, Edited};
use crate::not_built;

/// Answers one question.
pub(crate) fn answer(probe: &Probe) -> Result<Answer, Fault> {
    match probe {
        Probe::KnownHostLines(lines) => {
            let known = known_hosts_file::read(&lines.path)
                .map_err(|error| known_hosts_fault(format!("read {}", lines.path), &lines.path, &error))?;
            let keys = lines.names.iter().map(|name| (name.clone(), known.keys_for(name)));
            Ok(Answer::KnownHostLines(KnownHostsState {
                keys: keys.filter(|(_, keys)| !keys.is_empty()).collect(),
                version: known.version().to_owned(),
            }))
        }
        _ => Err(not_built::fault(&Target::Controller, format!("ask for {}", probe.word()))),
    }
}

/// Brings one deed about.
pub(crate) async fn act(deed: &Deed) -> Result<Reply, Fault> {
    match deed {
        Deed::EditKnownHosts { path, remove, add, expect } => {
            match known_hosts_file::edit(path, remove, add, expect.as_deref()).await {
                Ok(Edited::Done) => Ok(Reply::Done),
                Ok(Edited::Stale) => Err(Fault::new(Cause::Stale, Target::Controller, deed.to_string())
                    .said("someone else wrote known_hosts meanwhile")),
                Err(error) => Err(known_hosts_fault(deed.to_string(), path, &error)),
            }
        }
        _ => Err(not_built::fault(&Target::Controller, deed.to_string())),
    }
}

fn known_hosts_fault(doing: String, path: &str, error: &std::io::Error) -> Fault {
    Fault::new(Cause::Failed, Target::Controller, doing)
        .said(format!("{path}: {error}"))
        .next("see whether the file is yours, is text, and its disk has room; nothing was changed")
}
