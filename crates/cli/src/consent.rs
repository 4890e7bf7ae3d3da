//! The operator's leave: asked once, for exactly the set that was shown.

use std::collections::BTreeSet;
use std::io;

use bringup_core::hazard::Hazard;
use bringup_core::names::NodeName;

/// How the operator can be asked.
pub trait Ask {
    /// Asks a question and gives the line that was typed; `None` if nobody can be asked.
    ///
    /// # Errors
    /// When the terminal fails.
    fn ask(&mut self, question: &str) -> io::Result<Option<String>>;
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
/// `named`, or typed when asked; a yes never does.
///
/// # Errors
/// When the terminal fails.
pub fn decide(hazards: &[Hazard], yes: bool, named: &BTreeSet<NodeName>, ask: &mut dyn Ask) -> io::Result<Decision> {
    if hazards.is_empty() {
        return Ok(Decision::default());
    }
    let agreed = yes || {
        let answer = ask.ask("May all of this happen? Only \"yes\" means yes: ")?;
        answer.is_some_and(|answer| answer.trim() == "yes")
    };
    if !agreed {
        return Ok(Decision { declined: true, ..Decision::default() });
    }
    let mut decision = Decision::default();
    let mut typed = BTreeSet::new();
    for hazard in hazards {
        let Some(node) = hazard.needs_name() else {
            decision.approved.push(hazard.clone());
            continue;
        };
        if !named.contains(node) && !typed.contains(node) {
            let answer = ask.ask(&format!("To {hazard}: type its name, or nothing to leave it alone: "))?;
            if answer.as_deref().map(str::trim) != Some(node.as_str()) {
                decision.unnamed.push(node.clone());
                continue;
            }
            typed.insert(node.clone());
        }
        decision.approved.push(hazard.clone());
    }
    Ok(decision)
}

#[cfg(test)]
mod tests {
    use bringup_core::hazard::Liveness;

    use super::*;

    struct Answers(Vec<&'static str>);

    impl Ask for Answers {
        fn ask(&mut self, _: &str) -> io::Result<Option<String>> {
            Ok(if self.0.is_empty() { None } else { Some(self.0.remove(0).to_owned()) })
        }
    }

    fn erase(node: &str, liveness: Liveness) -> Hazard {
        Hazard::Erase { node: NodeName::new(node), disk: "eMMC".to_owned(), liveness }
    }

    #[test]
    fn leave_is_a_set_and_names_are_named() {
        let idle = erase("a", Liveness::Idle);
        let living = erase("b", Liveness::Living);
        let both = [idle.clone(), living.clone()];
        // -y, --limit, answers → approved, how many unnamed, declined
        type Case<'a> = (bool, &'a [&'a str], &'a [&'static str], &'a [&'a Hazard], usize, bool);
        let cases: [Case<'_>; 8] = [
            (false, &[], &[], &[], 0, true),
            (false, &[], &["y"], &[], 0, true),
            (false, &[], &["no"], &[], 0, true),
            (false, &[], &["yes", ""], &[&idle], 1, false),
            (false, &[], &["yes", "b"], &[&idle, &living], 0, false),
            (true, &[], &[], &[&idle], 1, false),
            (true, &["b"], &[], &[&idle, &living], 0, false),
            (true, &["a"], &["a"], &[&idle], 1, false),
        ];
        for (yes, limit, answers, approved, unnamed, declined) in cases {
            let named = limit.iter().map(NodeName::new).collect();
            let decision = decide(&both, yes, &named, &mut Answers(answers.to_vec())).unwrap();
            let case = format!("yes={yes} limit={limit:?} answers={answers:?}");
            assert_eq!(decision.approved.iter().collect::<Vec<_>>(), approved, "{case}");
            assert_eq!((decision.unnamed.len(), decision.declined), (unnamed, declined), "{case}");
        }
    }
}
