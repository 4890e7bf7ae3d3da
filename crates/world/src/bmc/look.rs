//! Questions to a BMC.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bringup_core::contract::bmc::{Answer, Question};
use bringup_core::contract::{FileState, FlashFailure, FlashJobState, FlashMarkState, JobPhase, SdCardState};
use bringup_core::ids::Slot;
use bringup_core::run::fault::Fault;

use super::api_reply::Transfer;
use super::board::Bmc;
use super::controls::Controls as _;
use super::error::BmcError;
use super::record::{self, Record};
use crate::host::Outside;
use crate::shell::bmc;

/// How many lines of a console go into a fault.
const CONSOLE_LINES: usize = 40;

impl Bmc<'_> {
    /// The inner error is of what was seen from outside, without the board's daemon.
    pub(super) async fn answer(&self, question: &Question) -> Result<Result<Answer, Fault>, BmcError> {
        let outside = Outside { hosts: self.hosts, target: self.target, connection: self.connection };
        Ok(Ok(match question {
            Question::Addresses(question) => return Ok(outside.addresses().await.map(|found| question.answer(found))),
            Question::SshBanner(question) => return Ok(outside.answers().await.map(|does| question.answer(does))),
            Question::HostKeys(question) => return Ok(outside.host_keys().await.map(|keys| question.answer(keys))),
            Question::SlotPower(question) => question.answer(self.has_power(question.slot).await?),
            Question::FlashMark(question) => question.answer(self.mark(&record::mark_name(question.slot)).await?),
            Question::FlashJob(question) => question.answer(self.flash_job().await?),
            Question::ImageFile(question) => question.answer(self.image_file(&question.path).await?),
            Question::ImageIsFit(question) => question.answer(self.fit(&question.source, question.sha256).await?),
            Question::UnpacksXz(question) => question.answer(self.way().await?.unpacks()),
            Question::WaitingModules(question) => {
                let modules = self.read(bmc::WAITING_MODULES).await?.unwrap_or_default();
                question.answer(modules.lines().map(str::to_owned).collect())
            }
            Question::StoredUsbBoot(question) => question.answer(self.controls().await?.stored_usb_boot().await?),
            Question::SdCard(question) => question.answer(self.free().await?.map(|free| SdCardState { free })),
            Question::Console(question) => {
                let text = self.controls().await?.console(question.slot).await?;
                let lines = printable_lines(&text);
                question.answer(lines[lines.len().saturating_sub(CONSOLE_LINES)..].to_vec())
            }
        }))
    }

    /// A module that is a disk of the BMC has power and runs nothing: a run that died while it gave one its identity leaves
    /// it so, and nobody is to take that for a node that may live.
    async fn has_power(&self, slot: Slot) -> Result<bool, BmcError> {
        let powered = self.power().await?;
        Ok(powered[usize::from(slot.number() - 1)] && self.read(&bmc::is_disk(slot.number())).await?.is_none())
    }

    async fn mark(&self, name: &str) -> Result<Option<FlashMarkState>, BmcError> {
        let Some(text) = self.read(&bmc::read_state(name)).await? else { return Ok(None) };
        // Without it nobody knows whether the node lived when its power was cut, so it is not passed over.
        record::read_mark(&text).map(Some).ok_or_else(|| {
            BmcError::Unable(
                format!("the mark {name} below /root/.bringup on the BMC makes no sense"),
                "see in what state that slot's node is; then take the file away and run again",
            )
        })
    }

    /// The record of the last transfer that we started in this boot of the BMC, and that boot.
    pub(super) async fn record(&self) -> Result<(String, Option<Record>), BmcError> {
        let text = self.read(&bmc::read_transfer()).await?.unwrap_or_default();
        let (boot, text) = text.split_once('\n').unwrap_or((&text, ""));
        Ok((boot.trim().to_owned(), Record::read(text, boot.trim())))
    }

    async fn flash_job(&self) -> Result<Option<FlashJobState>, BmcError> {
        let (_, mut record) = self.record().await?;
        let transfer = match record.as_ref().filter(|record| record.by_tpi) {
            Some(_) => self.tpi().await?.transfer().await?,
            None => match self.api().await? {
                Some(api) => api.transfer().await?,
                None => Transfer::Ready,
            },
        };
        if let Some(record) = record.as_mut() {
            self.complete(record, &transfer);
        }
        let mut job = record::judge(record.as_ref(), transfer);
        if let Some(job) = job.as_mut().filter(|job| job.phase == JobPhase::Failed && job.order.is_some()) {
            // What broke off says why better than bmcd, to which it only ended.
            let upload = self.board.upload.lock().unwrap_or_else(PoisonError::into_inner);
            let handle = record.as_ref().and_then(|record| record.handle);
            let why =
                upload.as_ref().filter(|upload| Some(upload.handle) == handle).and_then(|upload| upload.trouble());
            job.said.extend(why);
            job.failure = Some(record::failure(&job.said));
            if job.failure == Some(FlashFailure::WrongBytes) {
                self.board.doubted.store(true, Ordering::Relaxed);
                self.board.sums.lock().unwrap_or_else(PoisonError::into_inner).clear();
            }
        }
        Ok(job)
    }

    /// Gives a record without a handle that of the transfer that this run has seen to be its own.
    fn complete(&self, record: &mut Record, transfer: &Transfer) {
        let mut seen = self.board.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Transfer::Running { handle: Some(handle), slot, .. } = transfer
            && record.is(Some(*handle), *slot)
        {
            *seen = Some((record.order.clone(), *handle));
        }
        let known = seen.as_ref().filter(|(order, _)| *order == record.order).map(|(_, handle)| *handle);
        record.handle = record.handle.or(known);
    }

    async fn image_file(&self, path: &str) -> Result<Option<FileState>, BmcError> {
        let sums = || self.board.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sums().get(path).cloned();
        let known = known.as_ref().map(|(like, sum)| (like.as_str(), *sum));
        let doubted = self.board.doubted.load(Ordering::Relaxed);
        let Some(text) = self.read(&bmc::image_file(path, known, doubted)).await? else { return Ok(None) };
        let file = crate::shell::file(&text).ok_or_else(|| BmcError::Script(format!("{path}: {text}")))?;
        sums().insert(path.to_owned(), (format!("{} {}", file.size, file.modified), file.sha256));
        Ok(Some(file))
    }

    /// Free bytes of the card that images are on; `None`: there is no card.
    pub(super) async fn free(&self) -> Result<Option<u64>, BmcError> {
        let Some(text) = self.read(&bmc::sd_card(&self.boards.images)).await? else { return Ok(None) };
        let bytes = text.trim().parse::<u64>().ok().and_then(|kilobytes| kilobytes.checked_mul(1024));
        Ok(Some(bytes.ok_or_else(|| BmcError::Script(format!("df: {text}")))?))
    }
}

/// What a console says without what would move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // A control sequence runs to its first letter.
            '\u{1b}' => {
                if characters.next_if_eq(&'[').is_some() {
                    while characters.next_if(|next| !next.is_ascii_alphabetic()).is_some() {}
                }
                characters.next();
            }
            '\n' => plain.push('\n'),
            '\t' => plain.push(' '),
            other if other.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

fn printable_lines(text: &str) -> Vec<String> {
    let lines = printable(text);
    lines.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_read_without_its_colours() {
        let text = "[\u{1b}[0;32m  OK  \u{1b}[0m] Started ssh\r\n\r\n\u{1b}[2Jlogin:\t\u{7}x\u{0}y\r\n";
        assert_eq!(printable_lines(text), ["[  OK  ] Started ssh", "login: xy"]);
        assert!(printable_lines("\u{1b}").is_empty() && printable_lines("\u{1b}[").is_empty());
    }
}
