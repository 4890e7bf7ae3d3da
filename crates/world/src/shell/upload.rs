//! A file to a host: how much of it has arrived, taking in what is missing, putting it in place.

use bringup_core::ids::Sha256;

use super::piece::Piece;
use super::quote::word;

/// A function of shell that gives the SHA-256 of its input. OpenSSL's is some times as fast as that of coreutils where the
/// processor has instructions for it, and is not there on every BMC.
const SUM: &str = script!("sum.sh");

/// Where a file is to arrive, and what it has to be then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    /// Its path.
    pub to: &'a str,
    /// Its path until it is whole.
    pub part: &'a str,
    /// Sum of its bytes.
    pub sha256: Sha256,
}

impl Arrival<'_> {
    fn piece(&self) -> Piece {
        Piece::new().set("to", self.to).set("part", self.part).set("sha256", self.sha256.to_string())
    }

    /// How many bytes have arrived, or `there` for all.
    pub fn begin(&self) -> String {
        self.piece().run(SUM).run(script!("upload_begin.sh")).text()
    }

    /// Begins anew.
    pub fn empty(&self) -> String {
        format!(": > {}", word(self.part))
    }

    /// Appends standard input, and gives the sum of what was there and what came.
    pub fn receive(&self) -> String {
        Piece::new().set("part", self.part).run(SUM).run(script!("upload_receive.sh")).text()
    }

    /// Puts it in place with these permission bits, if it is as long as it should be and the sum of what arrived is right.
    pub fn place(&self, total: u64, arrived: &str, mode: u32) -> String {
        let piece = self.piece().set("total", total.to_string()).set("arrived", arrived);
        piece.set("mode", format!("{mode:04o}")).run(script!("upload_place.sh")).text()
    }
}
