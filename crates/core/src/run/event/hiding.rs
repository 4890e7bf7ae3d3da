//! Secrets hidden in events. A machine may repeat what it was sent, in a good answer as well as in an error, and what it
//! says ends up in plans, notices and faults alike.

use super::{Awaited, Event, Notice, What};
use crate::run::change::{Diff, Outcome, Planned, Reason};
use crate::run::fault::Fault;
use crate::run::hazard::{Disk, DiskFound, Hazard};
use crate::text::secret::Mask;

impl Event {
    /// Hides secrets in every field that may hold words of a machine. Names of lanes, steps and targets are the site's.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        let hide = Hide(mask);
        match &mut self.what {
            What::StepPlanned { planned, hazards, .. } => {
                hide.planned(planned);
                hide.hazards(hazards);
            }
            What::Approved { hazards } => hide.hazards(hazards),
            What::ActionEnded { fault, .. } => fault.iter_mut().for_each(|fault| hide.fault(fault)),
            What::Waiting { awaited, .. } | What::Waited { awaited, .. } => hide.awaited(awaited),
            What::Retrying { fault, .. } => hide.fault(fault),
            What::StepEnded { outcome, .. } => hide.outcome(outcome),
            What::Noticed { notice, .. } => hide.notice(notice),
            What::RunStarted { .. }
            | What::StepStarted { .. }
            | What::ActionStarted { .. }
            | What::Progress { .. }
            | What::SpanTaken { .. }
            | What::SpanReleased { .. }
            | What::LaneEnded { .. }
            | What::Interrupted
            | What::RunEnded { .. } => {}
        }
        self
    }
}

impl Hazard {
    /// Hides secrets in what a machine may have named.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Self {
        Hide(mask).hazard(&mut self);
        self
    }
}

struct Hide<'a>(&'a Mask);

impl Hide<'_> {
    fn text(&self, text: &mut String) {
        *text = self.0.hide_in(text);
    }

    fn fault(&self, fault: &mut Fault) {
        *fault = fault.clone().masked(self.0);
    }

    fn reason(&self, reason: &mut Reason) {
        self.text(&mut reason.why);
        self.text(&mut reason.next);
    }

    fn diff(&self, diff: &mut Diff) {
        match diff {
            Diff::InSync => {}
            Diff::Change(changes) => {
                for change in changes {
                    let texts = [&mut change.field, &mut change.to].into_iter().chain(&mut change.from);
                    texts.for_each(|text| self.text(text));
                }
            }
            Diff::Blocked(reason) => self.reason(reason),
        }
    }

    fn planned(&self, planned: &mut Planned) {
        match planned {
            Planned::Known(diff) | Planned::Expected(diff) => self.diff(diff),
            Planned::Later { .. } => {}
            Planned::Unreachable(fault) => self.fault(fault),
        }
    }

    fn outcome(&self, outcome: &mut Outcome) {
        match outcome {
            Outcome::InSync | Outcome::Changed | Outcome::TookOver => {}
            Outcome::Skipped(reason) | Outcome::Blocked(reason) => self.reason(reason),
            Outcome::NotConverged(diff) => self.diff(diff),
            Outcome::Failed(fault) => self.fault(fault),
        }
    }

    /// The units of earlier work are what a node lists.
    fn awaited(&self, awaited: &mut Awaited) {
        match awaited {
            Awaited::EarlierWork { units } => {
                *units = std::mem::take(units).into_iter().map(|unit| self.0.hide_in(&unit)).collect();
            }
            Awaited::End { .. }
            | Awaited::Span { .. }
            | Awaited::CloudInit
            | Awaited::NextBoot
            | Awaited::PackageLocks
            | Awaited::NoWaitingModule
            | Awaited::RunningFlash
            | Awaited::FirstLogin
            | Awaited::MadeHostKey
            | Awaited::Job { .. }
            | Awaited::K3sUp { .. }
            | Awaited::NodeReady { .. }
            | Awaited::NodeReadySinceBoot { .. }
            | Awaited::NodeNotReady { .. }
            | Awaited::ReadyWorkers
            | Awaited::ApiReached { .. }
            | Awaited::JoinToken { .. }
            | Awaited::Deployments { .. }
            | Awaited::ApplicationHealthy { .. }
            | Awaited::Words(_) => {}
        }
    }

    fn notice(&self, notice: &mut Notice) {
        match notice {
            Notice::K3sConfigurationKept { keys, .. } => keys.iter_mut().for_each(|key| self.text(key)),
            Notice::FieldsKept { fields, .. } => {
                for field in fields {
                    self.text(&mut field.field);
                    self.text(&mut field.managers);
                }
            }
            Notice::ScriptKept { .. }
            | Notice::CompletionKept { .. }
            | Notice::ContainerdTemplateKept { .. }
            | Notice::WorkstationReboot { .. }
            | Notice::K3sConfigurationMissing { .. }
            | Notice::WithoutWorkers { .. }
            | Notice::Words(_) => {}
        }
    }

    fn hazards(&self, hazards: &mut [Hazard]) {
        hazards.iter_mut().for_each(|hazard| self.hazard(hazard));
    }

    fn hazard(&self, hazard: &mut Hazard) {
        match hazard {
            Hazard::Erase { disk: Disk::At { found: Some(DiskFound { model, serial, holds }), .. }, .. } => {
                [model, serial].into_iter().chain(holds).for_each(|text| self.text(text));
            }
            Hazard::Erase { .. } => {}
            Hazard::LoseSealedKeys { keys } => keys.iter_mut().for_each(|keys| self.text(keys)),
            Hazard::Delete { object } => self.text(object),
            Hazard::ClearUsbBoot { .. }
            | Hazard::CutPower { .. }
            | Hazard::TrustKey { .. }
            | Hazard::Reboot { .. }
            | Hazard::UninstallK3s { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::{Action, FieldConflict, ObjectId};
    use crate::ids::{DiskPath, Label, NodeName, StageName, Target};
    use crate::run::change::Change;
    use crate::run::hazard::Liveness;
    use crate::text::secret::Secret;

    /// What a machine says reaches a screen in each of these.
    #[test]
    fn what_was_sent_is_hidden_wherever_a_machine_says_it() {
        let said = || "it says s3cr3t".to_owned();
        let (step, target) = (Label::new("node01/x"), Target::Node(NodeName::new("node01")));
        let fault = || Fault::new(crate::run::fault::Cause::Failed, Target::Controller, "ask").said(said());
        let disk = || Disk::At {
            path: DiskPath::parse("/dev/sda").unwrap(),
            found: Some(DiskFound { model: said(), serial: said(), holds: vec![said()] }),
        };
        let hazards = vec![
            Hazard::Erase { node: NodeName::new("node01"), disk: disk(), liveness: Liveness::Living },
            Hazard::LoseSealedKeys { keys: Some(said()) },
            Hazard::Delete { object: said() },
        ];
        let changed = || Diff::Change(vec![Change::new(said(), said(), said())]);
        let blocked = || Diff::Blocked(Reason::new(said(), said()));
        let planned = |planned| What::StepPlanned {
            lane: Label::new("node01"),
            stage: StageName::K3s,
            step: step.clone(),
            target: target.clone(),
            planned,
            hazards: hazards.clone(),
        };
        let ended = |outcome| What::StepEnded {
            lane: Label::new("node01"),
            stage: StageName::K3s,
            step: step.clone(),
            target: target.clone(),
            outcome,
            ms: 0,
        };
        let awaited = Awaited::EarlierWork { units: [said()].into() };
        let action = crate::contract::node::Reboot {}.outline().into();
        let fields = vec![FieldConflict { field: said(), managers: said() }];
        let id =
            ObjectId { api_version: "v1".into(), kind: "Namespace".into(), namespace: "x".into(), name: "x".into() };
        let all = [
            planned(Planned::Known(changed())),
            planned(Planned::Expected(blocked())),
            planned(Planned::Unreachable(fault())),
            What::Approved { hazards: hazards.clone() },
            What::ActionEnded { step: step.clone(), target: target.clone(), action, fault: Some(fault()) },
            What::Waiting { step: step.clone(), awaited: awaited.clone(), bound: None },
            What::Waited { step: step.clone(), awaited, freed_by: None, ms: 0 },
            What::Retrying { step: step.clone(), attempt: 1, of: 3, fault: fault() },
            ended(Outcome::NotConverged(changed())),
            ended(Outcome::Failed(fault())),
            ended(Outcome::Blocked(Reason::new(said(), said()))),
            ended(Outcome::Skipped(Reason::new(said(), said()))),
            What::Noticed {
                step: step.clone(),
                notice: Notice::K3sConfigurationKept { node: NodeName::new("node01"), keys: vec![said()] },
            },
            What::Noticed { step: step.clone(), notice: Notice::FieldsKept { id, fields } },
        ];
        let mask = [Secret::new("s3cr3t")].iter().collect();
        for what in all {
            let shown = serde_json::to_string(&Event { at: 0, what }.masked(&mask)).unwrap();
            assert!(!shown.contains("s3cr3t") && shown.contains("it says (secret)"), "{shown}");
        }
    }
}
