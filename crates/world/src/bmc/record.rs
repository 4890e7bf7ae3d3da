//! What we keep on a BMC: a mark a slot, and a record of the last transfer that we started.

use bringup_core::contract::{FlashFailure, FlashJobState, FlashMarkState, FlashPhase, JobPhase};
use bringup_core::ids::{NodeName, Sha256, Slot};
use bringup_core::run::hazard::Liveness;
use bringup_core::text::known_hosts::HostKey;
use serde::{Deserialize, Serialize};

use super::api_reply::Transfer;

/// The file of a slot's mark.
pub(crate) fn mark_name(slot: Slot) -> String {
    format!("mark-{slot}")
}

/// The file of what an image is.
pub(crate) fn image_name(sha256: Sha256) -> String {
    format!("image-{sha256}")
}

/// The file of the transfer's record.
pub(crate) const TRANSFER: &str = "transfer";

#[derive(Serialize, Deserialize)]
struct Mark {
    node: String,
    phase: String,
    was: String,
    image_sha256: Sha256,
    instance_id: String,
    host_key: Option<String>,
    run: String,
}

const PHASES: [FlashPhase; 6] = [
    FlashPhase::Flashing,
    FlashPhase::Flashed,
    FlashPhase::Seeded,
    FlashPhase::Booting,
    FlashPhase::Overdue,
    FlashPhase::Done,
];

const LIVENESS: [(Liveness, &str); 3] =
    [(Liveness::Idle, "idle"), (Liveness::Doubtful, "doubtful"), (Liveness::Living, "living")];

/// A mark as it is kept.
pub(crate) fn write_mark(mark: &FlashMarkState) -> String {
    let was = LIVENESS.iter().find(|(liveness, _)| *liveness == mark.was).map_or("living", |(_, word)| word);
    let kept = Mark {
        node: mark.node.to_string(),
        phase: mark.phase.word().to_owned(),
        was: was.to_owned(),
        image_sha256: mark.image_sha256,
        instance_id: mark.instance_id.clone(),
        host_key: mark.host_key.as_ref().map(HostKey::to_string),
        run: mark.run.clone(),
    };
    serde_json::json!(kept).to_string()
}

/// A mark as it was kept; `None` where it makes no sense.
pub(crate) fn read_mark(text: &str) -> Option<FlashMarkState> {
    let kept: Mark = serde_json::from_str(text).ok()?;
    let host_key = match kept.host_key {
        Some(text) => Some(HostKey::parse(&text)?),
        None => None,
    };
    Some(FlashMarkState {
        node: NodeName::new(kept.node),
        phase: PHASES.into_iter().find(|phase| phase.word() == kept.phase)?,
        was: LIVENESS.iter().find(|(_, word)| *word == kept.was)?.0,
        image_sha256: kept.image_sha256,
        instance_id: kept.instance_id,
        host_key,
        run: kept.run,
    })
}

/// A transfer that we started: written before it, and again once its handle is known.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// To which slot, as printed on the board.
    pub slot: u8,
    /// The mark's instance id.
    pub order: String,
    /// The boot of the BMC.
    pub boot: String,
    /// It was started by `tpi`, which names no transfer.
    pub by_tpi: bool,
    /// Bytes of the file as bmcd is given them.
    pub size: u64,
    /// Bytes that the module will have; the size where nobody knows.
    pub written: u64,
    /// The transfer that the daemon had before, if it told.
    pub before: Option<u64>,
    /// The transfer's own handle, once it is known.
    pub handle: Option<u64>,
}

impl Record {
    /// As it is kept.
    pub fn text(&self) -> String {
        serde_json::json!(self).to_string()
    }

    /// As it was kept: for the boot in which it still says something.
    pub fn read(text: &str, boot: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|record: &Self| record.boot == boot)
    }

    /// Whether a transfer that runs is this one.
    pub fn is(&self, handle: Option<u64>, slot: Option<Slot>) -> bool {
        if self.by_tpi {
            return true;
        }
        match self.handle {
            Some(own) => handle == Some(own),
            // We died between the start and this record. Nobody else of us could start one, and no other ran before.
            None => handle.is_some() && handle != self.before && slot.is_some_and(|slot| slot.number() == self.slot),
        }
    }
}

/// What bmcd's words for a failure mean: its own, liblzma's and Linux's, of 2.0.5 and 2.3.7. The xz decoder says
/// `More memory needed` of a file that ends too early, too.
pub(super) fn failure(said: &[String]) -> FlashFailure {
    let says = |words: &[&str]| said.iter().any(|line| words.iter().any(|words| line.contains(words)));
    if says(&["USB", "No supported devices found"]) {
        FlashFailure::NoModule
    } else if says(&["checksum", "crc error", "integrity check"]) {
        FlashFailure::WrongBytes
    } else if says(&["No space left on device"]) {
        FlashFailure::TooLarge
    } else if says(&[
        "More memory needed",
        "stream/file format not recognized",
        "lzma data error",
        "memory usage limit",
    ]) {
        FlashFailure::NotUnpacked
    } else if says(&["cancelled by user"]) {
        FlashFailure::Cancelled
    } else {
        FlashFailure::Other
    }
}

/// How the BMC's transfer stands, held against our record.
///
/// Only a running transfer tells whose it is. One that has ended is taken for ours if we know that ours began and its
/// size is right: bmcd tells no more. Whatever else is under way belongs to somebody else.
pub(crate) fn judge(record: Option<&Record>, transfer: Transfer) -> Option<FlashJobState> {
    let ours = |phase, done, said: Vec<String>| {
        let record = record?;
        let order = Some(record.order.clone());
        let failure = (phase == JobPhase::Failed).then(|| failure(&said));
        Some(FlashJobState { slot: Slot::new(record.slot)?, order, phase, done, total: record.written, said, failure })
    };
    match transfer {
        Transfer::Ready => None,
        Transfer::Running { handle, slot, size, written } => {
            let Some(record) = record.filter(|record| record.is(handle, slot)) else {
                let (order, said, done) = (None, Vec::new(), written);
                return slot.map(|slot| FlashJobState {
                    slot,
                    order,
                    phase: JobPhase::Running,
                    done,
                    total: size,
                    said,
                    failure: None,
                });
            };
            match written {
                // Of the module's disk it is known what was written and what was read back, together.
                written if record.by_tpi => ours(JobPhase::Running, written, Vec::new())
                    .map(|job| FlashJobState { total: job.total.saturating_mul(2), ..job }),
                Some(written) if written > record.written && record.written > record.size => {
                    let said = format!("{written} bytes were written of an image of {}", record.written);
                    ours(JobPhase::Failed, Some(written), vec![said])
                }
                written => ours(JobPhase::Running, written, Vec::new()),
            }
        }
        Transfer::Done { size } => {
            let record = record.filter(|record| record.by_tpi || record.handle.is_some())?;
            if size.is_some_and(|size| size != record.size) {
                return None;
            }
            ours(JobPhase::Succeeded, Some(record.written), Vec::new())
        }
        Transfer::Failed(said) => {
            record.filter(|record| record.by_tpi || record.handle.is_some())?;
            ours(JobPhase::Failed, None, said.lines().map(str::to_owned).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> FlashMarkState {
        FlashMarkState {
            node: NodeName::new("node03"),
            phase: FlashPhase::Seeded,
            was: Liveness::Doubtful,
            image_sha256: Sha256::of("image"),
            instance_id: "node03-20260101T000000Z-apply-7".to_owned(),
            host_key: Some(HostKey::ed25519(&[7; 32])),
            run: "20260101T000000Z-apply-7".to_owned(),
        }
    }

    #[test]
    fn a_mark_comes_back_as_it_was_written() {
        for phase in PHASES {
            for (was, _) in LIVENESS {
                let mark = FlashMarkState { phase, was, ..mark() };
                assert_eq!(read_mark(&write_mark(&mark)), Some(mark));
            }
        }
        let without = FlashMarkState { host_key: None, ..mark() };
        assert_eq!(read_mark(&write_mark(&without)), Some(without));
        let (whole, path) = (write_mark(&mark()), format!("../{}", "ab".repeat(31)));
        let sum = Sha256::of("image").to_string();
        for odd in ["", "{", "{\"node\":\"a\"}", &whole.replace("seeded", "sown"), &whole.replace(&sum, &path)] {
            assert_eq!(read_mark(odd), None, "{odd}");
        }
    }

    fn record(handle: Option<u64>) -> Record {
        Record {
            slot: 2,
            order: "node02-run".to_owned(),
            boot: "boot".to_owned(),
            by_tpi: false,
            size: 768,
            written: 3000,
            before: Some(5),
            handle,
        }
    }

    fn running(handle: u64, slot: u8, written: u64) -> Transfer {
        Transfer::Running { handle: Some(handle), slot: Slot::new(slot), size: 768, written: Some(written) }
    }

    #[test]
    fn whose_a_transfer_is() {
        let known = record(Some(7));
        let unknown = record(None);
        let tpi = Record { by_tpi: true, ..record(None) };
        let done = |size| Transfer::Done { size };
        let failed = || Transfer::Failed("Send timeout".to_owned());
        // record, transfer → whether it is ours, phase
        type Case<'a> = (Option<&'a Record>, Transfer, Option<(bool, JobPhase)>);
        let cases: [Case<'_>; 16] = [
            (None, Transfer::Ready, None),
            (None, running(7, 2, 0), Some((false, JobPhase::Running))),
            (None, done(Some(768)), None),
            (None, failed(), None),
            (Some(&known), Transfer::Ready, None),
            (Some(&known), running(7, 2, 10), Some((true, JobPhase::Running))),
            (Some(&known), running(8, 2, 10), Some((false, JobPhase::Running))),
            (Some(&known), done(Some(768)), Some((true, JobPhase::Succeeded))),
            (Some(&known), done(Some(769)), None),
            (Some(&known), failed(), Some((true, JobPhase::Failed))),
            (Some(&unknown), running(7, 2, 10), Some((true, JobPhase::Running))),
            (Some(&unknown), running(5, 2, 10), Some((false, JobPhase::Running))),
            (Some(&unknown), running(7, 3, 10), Some((false, JobPhase::Running))),
            // It may be the one before, which was flashed from the same file.
            (Some(&unknown), done(Some(768)), None),
            (Some(&unknown), failed(), None),
            (Some(&tpi), done(None), Some((true, JobPhase::Succeeded))),
        ];
        for (record, transfer, wanted) in cases {
            let words = format!("{record:?} {transfer:?}");
            let job = judge(record, transfer);
            assert_eq!(job.map(|job| (job.order.is_some(), job.phase)), wanted, "{words}");
        }
    }

    /// As bmcd 2.3.7 and 2.0.5 said it (November 2026).
    #[test]
    fn what_a_failure_is() {
        for (said, failure) in [
            ("Error loading USB device: No supported USB devices found", FlashFailure::NoModule),
            ("Compute module's USB interface not found or supported", FlashFailure::NoModule),
            ("No supported devices found", FlashFailure::NoModule),
            ("sha256 checksum failed. Expected: 00, got: 63", FlashFailure::WrongBytes),
            ("integrity check of written image failed", FlashFailure::WrongBytes),
            ("No space left on device (os error 28)", FlashFailure::TooLarge),
            ("More memory needed", FlashFailure::NotUnpacked),
            ("stream/file format not recognized", FlashFailure::NotUnpacked),
            ("lzma data error", FlashFailure::NotUnpacked),
            ("cancelled by user", FlashFailure::Cancelled),
            ("Is a directory (os error 21)", FlashFailure::Other),
        ] {
            assert_eq!(super::failure(&[said.to_owned()]), failure, "{said}");
        }
    }

    #[test]
    fn how_far_tpi_is_may_not_be_known() {
        let tpi = Record { by_tpi: true, ..record(None) };
        let running = |written| Transfer::Running { handle: None, slot: None, size: 0, written };
        for (written, done) in [(None, None), (Some(5000), Some(5000))] {
            let job = judge(Some(&tpi), running(written)).unwrap();
            assert_eq!((job.phase, job.done, job.total), (JobPhase::Running, done, 6000));
        }
    }

    #[test]
    fn a_file_that_unpacks_to_more_than_it_said_has_failed() {
        let job = judge(Some(&record(Some(7))), running(7, 2, 3001)).unwrap();
        assert_eq!(job.phase, JobPhase::Failed);
        assert!(job.said[0].contains("3001"));
    }

    #[test]
    fn whatever_lies_on_a_bmc_is_read_or_refused() {
        let (mut read, mut refused) = (0, 0);
        for text in crate::mutations::of_text(&record(Some(7)).text(), 1000) {
            if Record::read(&text, "boot").is_some() {
                read += 1
            } else {
                refused += 1
            }
            if read_mark(&text).is_some() { read += 1 } else { refused += 1 }
        }
        assert!(read > 20 && refused > 20, "{read} read, {refused} refused");
    }

    #[test]
    fn a_record_of_another_boot_says_nothing() {
        let record = record(Some(7));
        assert_eq!(Record::read(&record.text(), "boot"), Some(record.clone()));
        assert_eq!(Record::read(&record.text(), "later"), None);
        assert_eq!(Record::read("{\"slot\":", "boot"), None);
    }
}
