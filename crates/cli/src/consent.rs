//! The operator's approval: asked once, for exactly the set that was shown.

use std::collections::BTreeSet;
use std::io;

use bringup_core::ids::NodeName;
use bringup_core::run::hazard::Hazard;
use bringup_core::text::secret::Mask;

use crate::terminal::Lines;
use crate::ui::hazard_line;

/// How the operator can be asked.
pub trait Ask {
    /// Asks a question, below what it is about, and gives the line that was typed; `None` if nobody can be asked.
    ///
    /// # Errors
    /// When the terminal fails.
    fn ask(&mut self, about: &Lines, question: &str) -> io::Result<Option<String>>;
}

/// What was decided.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Decision {
    /// What may happen.
    pub approved: Vec<Hazard>,
    /// The nodes that would have had to be named.
    pub unnamed: Vec<NodeName>,
    /// Nobody said yes.
    pub declined: bool,
}

/// Asks for a set of hazards.
///
/// `yes` stands for the answer to the one question. A node that lives or may live has to be named besides: in
/// `named`, or typed when asked; a yes never does. The mask is for what is shown: what is approved are the hazards themselves.
///
/// # Errors
/// When the terminal fails.
pub fn decide(
    hazards: &[Hazard],
    yes: bool,
    named: &BTreeSet<NodeName>,
    mask: &Mask,
    ask: &mut dyn Ask,
) -> io::Result<Decision> {
    if hazards.is_empty() {
        return Ok(Decision::default());
    }
    let agreed = yes || {
        let answer = ask.ask(&Lines::default(), "May all of this happen? Only \"yes\" means yes: ")?;
        answer.is_some_and(|answer| answer.trim() == "yes")
    };
    if !agreed {
        return Ok(Decision { declined: true, ..Decision::default() });
    }
    let unnamed: Vec<&Hazard> =
        hazards.iter().filter(|hazard| hazard.needs_name().is_some_and(|node| !named.contains(node))).collect();
    let typed = if unnamed.is_empty() { BTreeSet::new() } else { ask_for_names(&unnamed, mask, ask)? };
    let mut decision = Decision::default();
    for hazard in hazards {
        match hazard.needs_name() {
            Some(node) if !named.contains(node) && !typed.contains(node) => {
                if !decision.unnamed.contains(node) {
                    decision.unnamed.push(node.clone());
                }
            }
            _ => decision.approved.push(hazard.clone()),
        }
    }
    Ok(decision)
}

/// Asks once for the names of all nodes that have to be named. Who names some of them approves those.
fn ask_for_names(hazards: &[&Hazard], mask: &Mask, ask: &mut dyn Ask) -> io::Result<BTreeSet<NodeName>> {
    let mut about = Lines::one("These also need the names of their nodes:");
    let shown = hazards.iter().map(|&hazard| hazard.clone().masked(mask));
    about.append(shown.map(|hazard| format!("  {}", hazard_line(&hazard))).collect());
    let question = "Type the names to approve, separated by spaces. Whatever you leave out is left alone: ";
    let answer = ask.ask(&about, question)?.unwrap_or_default();
    Ok(answer.split([' ', ',', '\t']).map(str::trim).filter(|name| !name.is_empty()).map(NodeName::new).collect())
}

#[cfg(test)]
mod tests {
    use bringup_core::run::hazard::{Disk, Liveness};

    use super::*;

    struct Answers(Vec<&'static str>);

    impl Ask for Answers {
        fn ask(&mut self, _: &Lines, _: &str) -> io::Result<Option<String>> {
            Ok(if self.0.is_empty() { None } else { Some(self.0.remove(0).to_owned()) })
        }
    }

    fn erase(node: &str, liveness: Liveness) -> Hazard {
        Hazard::Erase { node: NodeName::new(node), disk: Disk::Emmc, liveness }
    }

    #[test]
    fn approval_is_a_set_and_names_are_named() {
        let idle = erase("a", Liveness::Idle);
        let living = erase("b", Liveness::Living);
        let doubtful = erase("c", Liveness::Doubtful);
        let all = [idle.clone(), living.clone(), doubtful.clone()];
        // -y, --limit, answers → approved, how many unnamed, declined
        type Case<'a> = (bool, &'a [&'a str], &'a [&'static str], &'a [&'a Hazard], usize, bool);
        let cases: [Case<'_>; 12] = [
            (false, &[], &[], &[], 0, true),
            (false, &[], &["y"], &[], 0, true),
            (false, &[], &["no"], &[], 0, true),
            (false, &[], &["yes"], &[&idle], 2, false),
            (false, &[], &["yes", ""], &[&idle], 2, false),
            (false, &[], &["yes", "yes"], &[&idle], 2, false),
            (false, &[], &["yes", "b"], &[&idle, &living], 1, false),
            (false, &[], &["yes", " c  b\n"], &[&idle, &living, &doubtful], 0, false),
            (false, &[], &["yes", "a,c"], &[&idle, &doubtful], 1, false),
            (true, &[], &[], &[&idle], 2, false),
            (true, &["b"], &["c"], &[&idle, &living, &doubtful], 0, false),
            (true, &["a"], &["bc"], &[&idle], 2, false),
        ];
        for (yes, limit, answers, approved, unnamed, declined) in cases {
            let named = limit.iter().map(NodeName::new).collect();
            let decision = decide(&all, yes, &named, &Mask::default(), &mut Answers(answers.to_vec())).unwrap();
            let case = format!("yes={yes} limit={limit:?} answers={answers:?}");
            assert_eq!(decision.approved.iter().collect::<Vec<_>>(), approved, "{case}");
            assert_eq!((decision.unnamed.len(), decision.declined), (unnamed, declined), "{case}");
        }
    }
}
