//! Nodes and BMCs: what is asked of them from outside, and what over SSH.

use std::path::Path;
use std::sync::Arc;

use bringup_core::deed::{Deed, Reply};
use bringup_core::fault::{Cause, Fault};
use bringup_core::ids::Target;
use bringup_core::probe::{Answer, Probe};
use bringup_core::site::Connection;
use bringup_core::world::Progress;

use crate::shell::{self, ADMIN_KUBECONFIG, Odd, Script, Section};
use crate::ssh::{Failure, Hosts, Session};
use crate::{k3s, local, not_built};

/// Asks a host some questions: at most one connection and one script.
pub(crate) async fn ask(hosts: &Hosts, target: &Target, probes: &[Probe]) -> Vec<Result<Answer, Fault>> {
    let Some(connection) = hosts.connection(target) else {
        return probes.iter().map(|probe| Err(not_built::fault(target, doing(probe)))).collect();
    };
    let mut answers: Vec<Option<Result<Answer, Fault>>> = Vec::with_capacity(probes.len());
    for probe in probes {
        answers.push(outside(hosts, target, connection, probe).await);
    }
    let mut script = Script::new();
    let mut asked = Vec::new();
    for (index, probe) in probes.iter().enumerate() {
        if answers[index].is_some() {
            continue;
        }
        match question(target, probe) {
            Some(piece) => {
                script.add(&piece);
                asked.push(index);
            }
            None => answers[index] = Some(Err(not_built::fault(target, doing(probe)))),
        }
    }
    if !asked.is_empty() {
        let sections = run(hosts, target, connection, &script).await;
        for (place, index) in asked.into_iter().enumerate() {
            let probe = &probes[index];
            answers[index] = Some(match &sections {
                Ok(sections) => read(target, probe, sections.get(place).and_then(Option::as_ref)),
                Err(failure) => Err(failure.fault(target, &doing(probe))),
            });
        }
    }
    let missing = |probe: &Probe| Fault::new(Cause::Failed, target.clone(), doing(probe)).said("nobody answered");
    answers.into_iter().zip(probes).map(|(answer, probe)| answer.unwrap_or_else(|| Err(missing(probe)))).collect()
}

/// Brings a deed about on a node. `site` is the directory of the site, for what comes from there.
pub(crate) async fn act(
    hosts: &Hosts,
    target: &Target,
    deed: &Deed,
    site: &Path,
    progress: Progress<'_>,
) -> Result<Reply, Fault> {
    let Some(connection) = hosts.connection(target) else {
        return Err(not_built::fault(target, deed.to_string()));
    };
    let place = Place { hosts, target, connection };
    match deed {
        Deed::FetchSnapshot { run } => k3s::fetch_snapshot(place, deed, run, site).await?,
        Deed::HandOverK3s(_) => k3s::deliver(place, deed, progress).await?,
        _ => {
            let Some(piece) = shell::effect(deed) else {
                return Err(not_built::fault(target, deed.to_string()));
            };
            k3s::deliver(place, deed, progress).await?;
            place.piece(&piece, deed).await?;
        }
    }
    Ok(Reply::Done)
}

/// A host, as one deed reaches it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    hosts: &'a Hosts,
    pub target: &'a Target,
    pub connection: &'a Connection,
}

impl Place<'_> {
    /// Runs one piece of script as root to a good end.
    pub async fn piece(self, piece: &str, deed: &Deed) -> Result<Section, Fault> {
        let Self { hosts, target, connection } = self;
        let mut script = Script::new();
        script.add(piece);
        let sections = run(hosts, target, connection, &script)
            .await
            .map_err(|failure| failure.fault(target, &deed.to_string()))?;
        let lost = || {
            Fault::new(Cause::Lost, target.clone(), deed.to_string())
                .said("the connection was closed before the end was told")
        };
        let section = sections.into_iter().flatten().next().ok_or_else(lost)?;
        if section.status == 0 {
            return Ok(section);
        }
        let said = if section.err.is_empty() { section.out } else { section.err };
        Err(Fault::new(Cause::Failed, target.clone(), deed.to_string())
            .said(tail(&said))
            .said(format!("exit status {}", section.status))
            .next("mend what the last lines say, then run again"))
    }

    /// The connection to it.
    pub async fn session(self, deed: &Deed) -> Result<Arc<Session>, Fault> {
        let session = self.hosts.session(self.target, self.connection).await;
        session.map_err(|failure| failure.fault(self.target, &deed.to_string()))
    }
}

fn doing(probe: &Probe) -> String {
    format!("ask for {}", probe.word())
}

/// The last lines, which say why.
fn tail(said: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// What can be told without a login; `None` for what cannot.
pub(crate) async fn outside(
    hosts: &Hosts,
    target: &Target,
    connection: &Connection,
    probe: &Probe,
) -> Option<Result<Answer, Fault>> {
    Some(match probe {
        Probe::Addresses(_) if connection.local => Ok(Answer::Addresses(vec!["127.0.0.1".to_owned()])),
        Probe::Addresses(_) => hosts
            .addresses(connection)
            .await
            .map(Answer::Addresses)
            .map_err(|failure| failure.fault(target, "find its addresses")),
        Probe::SshBanner(_) if connection.local => Ok(Answer::SshBanner(true)),
        // An open connection says nothing of a host whose power was cut a moment ago.
        Probe::SshBanner(_) => hosts
            .answers(connection)
            .await
            .map(Answer::SshBanner)
            .map_err(|failure| failure.fault(target, "see whether it answers")),
        Probe::HostKeys(_) => match hosts.session(target, connection).await {
            Ok(session) => Ok(Answer::HostKeys(vec![session.host_key().clone()])),
            Err(failure) => match failure.shown() {
                Some(shown) => Ok(Answer::HostKeys(vec![shown.clone()])),
                None => Err(failure.fault(target, "see its host key")),
            },
        },
        _ => return None,
    })
}

fn question(target: &Target, probe: &Probe) -> Option<String> {
    match target {
        Target::Node(_) => shell::question(probe),
        _ => None,
    }
}

fn read(target: &Target, probe: &Probe, section: Option<&Section>) -> Result<Answer, Fault> {
    let fault = |cause| Fault::new(cause, target.clone(), doing(probe));
    let Some(section) = section else {
        return Err(fault(Cause::Lost).said("the connection was closed in the middle of the answer"));
    };
    shell::answer(probe, section).map_err(|odd| match odd {
        Odd::Words(words) => {
            fault(Cause::Failed).said(tail(&words)).next("fix what the last lines say, then run again")
        }
        // Not `Failed`, which a plan takes for a control plane that is not there yet.
        Odd::Kubeconfig(refused) => fault(Cause::Mismatch)
            .said(format!("{ADMIN_KUBECONFIG}: {refused}"))
            .likely("somebody edited the file; k3s never writes that")
            .next("see who changed it; then `systemctl restart k3s` there, which writes it again"),
    })
}

/// Runs a script as root on a host.
async fn run(
    hosts: &Hosts,
    target: &Target,
    connection: &Connection,
    script: &Script,
) -> Result<Vec<Option<Section>>, Failure> {
    if connection.local {
        return local::script(script).await;
    }
    let session = hosts.session(target, connection).await?;
    let result = session.script(script).await;
    if matches!(result, Err(Failure::Lost(_))) {
        hosts.forget(target).await;
    }
    result
}

#[cfg(test)]
mod tests {
    use bringup_core::ids::NodeName;
    use bringup_core::probe::{AdminKubeconfig, JoinToken, K3sConfig};

    use super::*;

    /// A plan takes `Failed` for "not there yet" and would go on; and none of it may be seen.
    #[test]
    fn a_kubeconfig_that_is_refused_is_a_mismatch_without_its_text() {
        let target = Target::Node(NodeName::new("node01"));
        for (out, said) in [
            ("users:\n- user:\n    client-key-data: s3cr3t\n   s3cr3t: [\n", "line 4, column 4: invalid YAML"),
            ("s3cr3t: 1\n", "unknown field at the top level"),
            ("exec: s3cr3t\n", "unsupported field `exec`"),
        ] {
            let section = Section { status: 0, out: out.to_owned(), err: String::new() };
            let fault = read(&target, &AdminKubeconfig {}.into(), Some(&section)).unwrap_err();
            assert_eq!(fault.cause, Cause::Mismatch);
            assert_eq!(fault.said, [format!("{ADMIN_KUBECONFIG}: {said}")]);
            assert!(!format!("{fault:?}").contains("s3cr3t"), "{fault:?}");
        }
    }

    #[test]
    fn what_was_printed_before_a_failure_is_not_shown_where_it_may_be_a_secret() {
        let target = Target::Node(NodeName::new("node01"));
        let secrets: [Probe; 3] = [AdminKubeconfig {}.into(), JoinToken {}.into(), K3sConfig {}.into()];
        for probe in secrets {
            let section = Section { status: 1, out: "s3cr3t".to_owned(), err: String::new() };
            let fault = read(&target, &probe, Some(&section)).unwrap_err();
            assert!(!format!("{fault:?}").contains("s3cr3t"), "{fault:?}");
        }
    }
}
