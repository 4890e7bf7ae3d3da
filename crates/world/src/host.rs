//! Nodes, over SSH; and what nodes and BMCs are asked from outside.

use std::path::Path;
use std::sync::Arc;

use bringup_core::contract::Contract;
use bringup_core::contract::node::{Action, Answer, FetchSnapshot, Question};
use bringup_core::contract::world::Progress;
use bringup_core::ids::{NodeName, Target};
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::site::Connection;
use bringup_core::text::known_hosts::HostKey;

use crate::node::k3s;
use crate::node::local;
use crate::shell::{self, ADMIN_KUBECONFIG, Acting, Asking, Odd, Script, Section};
use crate::ssh::{Failure, Hosts, Session};

/// Asks a node some questions: at most one connection and one script.
pub(crate) async fn ask(hosts: &Hosts, node: &NodeName, questions: &[Question]) -> Vec<Result<Answer, Fault>> {
    let target = node.target();
    let Some(connection) = hosts.connection(&target) else {
        return questions.iter().map(|question| Err(unknown(&target, question.to_string()))).collect();
    };
    let outside = Outside { hosts, target: &target, connection };
    let mut answers = Vec::with_capacity(questions.len());
    let mut script = Script::new();
    for question in questions {
        answers.push(match shell::asking(question) {
            Asking::Addresses(question) => Some(outside.addresses().await.map(|found| question.answer(found))),
            Asking::SshBanner(question) => Some(outside.answers().await.map(|answers| question.answer(answers))),
            Asking::HostKeys(question) => Some(outside.host_keys().await.map(|keys| question.answer(keys))),
            Asking::Shell(piece) => {
                script.add(&piece);
                None
            }
        });
    }
    let sections = match answers.iter().any(Option::is_none) {
        true => run(hosts, &target, connection, &script).await,
        false => Ok(Vec::new()),
    };
    let mut sections = sections.map(Vec::into_iter);
    let answered = answers.into_iter().zip(questions).map(|(answer, question)| match (answer, &mut sections) {
        (Some(answer), _) => answer,
        (None, Ok(sections)) => read(&target, question, sections.next().flatten().as_ref()),
        (None, Err(failure)) => Err(failure.fault(&target, &question.to_string())),
    });
    answered.collect()
}

/// Has a node act. `site` is the directory of the site, for what comes from there.
pub(crate) async fn act(
    hosts: &Hosts,
    node: &NodeName,
    action: &Action,
    site: &Path,
    progress: Progress<'_>,
) -> Result<(), Fault> {
    let (target, doing) = (node.target(), action.to_string());
    let Some(connection) = hosts.connection(&target) else { return Err(unknown(&target, doing)) };
    let place = Place { hosts, target: &target, connection, doing: &doing };
    match shell::acting(action) {
        Acting::Shell(piece) => place.piece(&piece).await.map(drop),
        Acting::WithInstallScript(install, piece) => {
            k3s::bring_install_script(place, install, progress).await?;
            place.piece(&piece).await.map(drop)
        }
        Acting::HandOver(hand_over) => k3s::hand_over(place, hand_over, progress).await,
        Acting::Snapshot(FetchSnapshot { run }) => k3s::fetch_snapshot(place, run, site).await,
    }
}

/// A target that the site does not name cannot be reached.
pub(crate) fn unknown(target: &Target, doing: impl Into<String>) -> Fault {
    Fault::new(Cause::Failed, target.clone(), doing)
        .said("the site does not say how it is reached")
        .next("add it to the inventory")
}

/// A node, as one action reaches it.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    hosts: &'a Hosts,
    pub target: &'a Target,
    pub connection: &'a Connection,
    /// The action, in words.
    pub doing: &'a str,
}

impl Place<'_> {
    /// Runs one piece of script as root to a good end.
    pub async fn piece(self, piece: &str) -> Result<Section, Fault> {
        let Self { hosts, target, connection, doing } = self;
        let mut script = Script::new();
        script.add(piece);
        let sections = run(hosts, target, connection, &script).await.map_err(|failure| failure.fault(target, doing))?;
        let lost =
            || Fault::new(Cause::Lost, target.clone(), doing).said("the connection was closed before the end was told");
        let section = sections.into_iter().flatten().next().ok_or_else(lost)?;
        if section.status == 0 {
            return Ok(section);
        }
        let said = if section.err.is_empty() { section.out } else { section.err };
        Err(Fault::new(Cause::Failed, target.clone(), doing)
            .said(tail(&said))
            .said(format!("exit status {}", section.status))
            .next("fix what the last lines say, then run again"))
    }

    /// The connection to it.
    pub async fn session(self) -> Result<Arc<Session>, Fault> {
        let session = self.hosts.session(self.target, self.connection).await;
        session.map_err(|failure| failure.fault(self.target, self.doing))
    }
}

/// The last lines, which say why.
fn tail(said: &str) -> String {
    const LINES: usize = 12;
    let lines: Vec<&str> = said.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// A host as it is seen without a login.
#[derive(Clone, Copy)]
pub(crate) struct Outside<'a> {
    pub hosts: &'a Hosts,
    pub target: &'a Target,
    pub connection: &'a Connection,
}

impl Outside<'_> {
    /// What its name resolves to.
    pub async fn addresses(self) -> Result<Vec<String>, Fault> {
        if self.connection.local {
            return Ok(vec!["127.0.0.1".to_owned()]);
        }
        let found = self.hosts.addresses(self.connection).await;
        found.map_err(|failure| failure.fault(self.target, "find its addresses"))
    }

    /// Whether its SSH server answers. An open connection says nothing of a host whose power was cut a moment ago.
    pub async fn answers(self) -> Result<bool, Fault> {
        if self.connection.local {
            return Ok(true);
        }
        let answers = self.hosts.answers(self.connection).await;
        answers.map_err(|failure| failure.fault(self.target, "see whether it answers"))
    }

    /// The keys that its SSH server shows.
    pub async fn host_keys(self) -> Result<Vec<HostKey>, Fault> {
        match self.hosts.session(self.target, self.connection).await {
            Ok(session) => Ok(vec![session.host_key().clone()]),
            Err(failure) => match failure.shown() {
                Some(shown) => Ok(vec![shown.clone()]),
                None => Err(failure.fault(self.target, "see its host key")),
            },
        }
    }
}

fn read(target: &Target, question: &Question, section: Option<&Section>) -> Result<Answer, Fault> {
    let fault = |cause| Fault::new(cause, target.clone(), question.to_string());
    let Some(section) = section else {
        return Err(fault(Cause::Lost).said("the connection was closed in the middle of the answer"));
    };
    shell::answer(question, section).map_err(|odd| match odd {
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
    use bringup_core::contract::node::{AdminKubeconfig, JoinToken, K3sConfig};
    use bringup_core::ids::NodeName;

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
        let secrets: [Question; 3] = [AdminKubeconfig {}.into(), JoinToken {}.into(), K3sConfig {}.into()];
        for question in secrets {
            let section = Section { status: 1, out: "s3cr3t".to_owned(), err: String::new() };
            let fault = read(&target, &question, Some(&section)).unwrap_err();
            assert!(!format!("{fault:?}").contains("s3cr3t"), "{fault:?}");
        }
    }
}
