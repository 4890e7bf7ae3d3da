//! What a BMC is asked and told besides its daemon, as shell for a busybox without `stat` and `timeout`.

use bringup_core::ids::Sha256;

use super::piece::Piece;
use super::quote::word;
pub(crate) use super::script::NONE;

/// Where marks and records live. The overlay keeps it over reboots, as it does root's `authorized_keys`; an SD card may be
/// pulled, and a board that is flashed by streaming has none.
pub(super) const STATE: &str = "/root/.bringup";

/// A function of shell that gives the size of a file in bytes.
const SIZE: &str = script!("size.sh");

/// The text that is kept under a name.
pub(crate) fn read_state(name: &str) -> String {
    Piece::new().set("state", STATE).set("name", name).run(script!("bmc_read_state.sh")).text()
}

/// Keeps a text under a name, whole or not at all.
pub(crate) fn write_state(name: &str, text: &str) -> String {
    let piece = Piece::new().set("state", STATE).set("name", name).set("text", text);
    piece.run(SYNC_FILE).run(script!("bmc_write_state.sh")).text()
}

/// A function of shell that has what was written to a file on disk; where only everything can be had there, everything.
const SYNC_FILE: &str = script!("sync_file.sh");

/// The boot id, then the record of the last transfer, if there is one.
pub(crate) fn read_transfer() -> String {
    Piece::new().set("state", STATE).run(script!("bmc_read_transfer.sh")).text()
}

/// The boot id.
pub(crate) const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

/// Notes which slot's module is made a disk, in which boot of the BMC.
pub(crate) fn note_disk(slot: u8) -> String {
    let piece = Piece::new().set("state", STATE).set("slot", slot.to_string());
    piece.run(SYNC_FILE).run(script!("bmc_note_disk.sh")).text()
}

/// Takes that note away.
pub(crate) const NO_DISK_NOTED: &str = "rm -f /root/.bringup/disk";

/// Whether a slot's module is a disk of the BMC: by our note of this boot, and by a disk that is there.
pub(crate) fn is_disk(slot: u8) -> String {
    Piece::new().set("state", STATE).set("slot", slot.to_string()).run(script!("bmc_is_disk.sh")).text()
}

/// The modules that wait for a boot over USB, with their ports: an RK1 in maskrom mode, a CM4 and a CM5 that boot over USB
/// (`rpiboot`'s ids). Nothing where there is no USB.
pub(crate) const WAITING_MODULES: &str = script!("waiting_modules.sh");

/// What an image on the SD card is: sum, then size, mode and time. `known` is what it was like and its sum when it was
/// last read; a file that is still like that is not read again. So is one whose sum stands beside it, unless it is
/// `doubted`.
pub(crate) fn image_file(path: &str, known: Option<(&str, Sha256)>, doubted: bool) -> String {
    let (like, sum) = known.map_or_else(Default::default, |(like, sum)| (like, sum.to_string()));
    let piece = Piece::new().set("path", path).set("sum", sum).set("like", like).set_flag("doubted", doubted);
    piece.run(script!("bmc_image_file.sh")).text()
}

/// Free bytes of the card that a directory is on. Without a card the directory may be there all the same, and would fill
/// the overlay.
pub(crate) fn sd_card(directory: &str) -> String {
    Piece::new().set("at", directory).run(script!("bmc_sd_card.sh")).text()
}

/// How much of a file has arrived: `there` if all of it.
pub(crate) fn arrived(to: &str, sha256: Sha256) -> String {
    let piece = Piece::new().set("to", to).set("sum", sha256.to_string()).set("part", part(to, sha256));
    piece.run(SIZE).run(script!("bmc_arrived.sh")).text()
}

/// The path of a file while it arrives: named for its content, so another file's part is never gone on with.
fn part(to: &str, sha256: Sha256) -> String {
    format!("{to}.{}.part", sha256.short())
}

/// Takes bytes from standard input behind those that have arrived, and prints the sum of all. What was written is summed
/// while more comes, before the system has dropped it from memory: to read a large file again takes as long as to write it.
/// Not through `tee`, as busybox's reads 1 KiB at a time: `ssh BMC 'tee FILE | sha256sum'` took 13 to 17 s for 1000 MiB
/// on a testbed where this took 7.
pub(crate) fn receive(to: &str, sha256: Sha256, anew: bool) -> String {
    let piece = Piece::new().set("part", part(to, sha256)).set_flag("anew", anew);
    piece.run(SIZE).run(script!("bmc_receive.sh")).text()
}

/// Puts a file that has arrived in place, with its sum beside it.
pub(crate) fn place(to: &str, sha256: Sha256) -> String {
    let piece = Piece::new().set("to", to).set("sum", sha256.to_string()).set("part", part(to, sha256));
    piece.run(SYNC_FILE).run(script!("bmc_place.sh")).text()
}

/// Takes away what arrived and is not what was sent.
pub(crate) fn discard(to: &str, sha256: Sha256) -> String {
    format!("rm -f {}", word(&part(to, sha256)))
}

/// The last bytes of a file.
pub(crate) fn end_of(path: &str, bytes: u64) -> String {
    format!("tail -c {bytes} {}", word(path))
}

/// Size of a file in bytes.
pub(crate) fn size_of(path: &str) -> String {
    Piece::new().set("path", path).run(SIZE).run(script!("bmc_size_of.sh")).text()
}

/// A file's first bytes, as many at most.
pub(crate) fn head_of(path: &str, bytes: u64) -> String {
    format!("dd if={} bs={bytes} count=1 2>/dev/null", word(path))
}

/// Unused memory in KiB. What the page cache holds of files is given up first: to bmcd's decoder it counts as used.
pub(crate) const FREE_MEMORY: &str = script!("free_memory.sh");

/// A file's bytes.
pub(crate) fn bytes_of(path: &str) -> String {
    format!("cat {}", word(path))
}

/// Restarts the daemon, which nothing else does.
pub(crate) const RESTART_DAEMON: &str = script!("restart_daemon.sh");

/// Holds the board for one run for as long as a line comes every minute and a half, and says who has it if it is another.
/// A connection that was lost may leave a holder of this same run behind: that one is ended.
pub(crate) fn lock(token: &str, who: &str) -> String {
    let hold = Piece::new().set("token", token).set("who", who).run(script!("bmc_hold.sh")).text();
    // `read -t` is of bash and of busybox, not of every sh.
    Piece::new().set("script", hold).run(script!("bmc_in_bash.sh")).text()
}

/// Whether `tpi` is there, and which.
pub(crate) const TPI_VERSION: &str = "command -v tpi >/dev/null 2>&1 || exit 44\ntpi --version";

/// Runs `tpi`.
pub(crate) fn tpi(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| word(argument)).collect();
    format!("tpi {}", arguments.join(" "))
}

/// Starts a flash by `tpi` that nobody has to wait for. It leaves what it printed and, last of all, its status.
pub(crate) fn start_tpi_flash(slot: u8, path: &str) -> String {
    let piece = Piece::new().set("state", STATE).set("slot", slot.to_string()).set("path", path);
    piece.run(script!("bmc_tpi_flash.sh")).text()
}

/// How that flash stands: bytes written to and read from the module's disk, or nothing; `running`, `gone` or its status;
/// then what it printed.
pub(crate) fn tpi_flash_state() -> String {
    Piece::new().set("state", STATE).run(script!("bmc_tpi_flash_state.sh")).text()
}

#[cfg(test)]
mod tests;
