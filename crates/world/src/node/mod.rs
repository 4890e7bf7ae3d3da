//! Nodes, over SSH: questions in one script, actions by shell, and what is brought to them.

mod k3s;

use std::path::Path;

use bringup_core::contract::Contract;
use bringup_core::contract::node::{Action, Answer, FetchSnapshot, Question};
use bringup_core::contract::world::Progress;
use bringup_core::ids::{NodeName, Target};
use bringup_core::run::fault::{Cause, Fault};

use crate::host::{Outside, Place, run, tail, unknown};
use crate::shell::{self, ADMIN_KUBECONFIG, Acting, Asking, Odd, Script, Section};
use crate::ssh::Hosts;

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
