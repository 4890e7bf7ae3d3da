//! What a BMC is asked and told besides its daemon, as shell for a busybox without `stat` and `timeout`.

use bringup_core::ids::Sha256;

use super::quote::word;
pub(crate) use super::script::NONE;

/// Where marks and records live. The overlay keeps it over reboots, as it does root's `authorized_keys`; an SD card may be
/// pulled, and a board that is flashed by streaming has none.
pub(super) const STATE: &str = "/root/.bringup";

/// A function of shell that gives the size of a file in bytes.
const SIZE: &str = script!("size.sh");

/// The text that is kept under a name.
pub(crate) fn read_state(name: &str) -> String {
    format!("[ -e {STATE}/{0} ] || exit {NONE}\ncat {STATE}/{0}", word(name))
}

/// Keeps a text under a name, whole or not at all.
pub(crate) fn write_state(name: &str, text: &str) -> String {
    let (name, text) = (word(name), word(text));
    format!(
        "umask 077; mkdir -p {STATE} && cd {STATE} && printf '%s\\n' {text} > .{name}.new && {} \
         && mv -f .{name}.new {name} && {}",
        sync(&format!(".{name}.new")),
        sync(&name),
    )
}

/// Has what was written to a file on disk; where only everything can be had there, everything.
fn sync(file: &str) -> String {
    format!("{{ sync -f {file} 2>/dev/null || sync; }}")
}

/// The boot id, then the record of the last transfer, if there is one.
pub(crate) fn read_transfer() -> String {
    format!("cat /proc/sys/kernel/random/boot_id || exit 1\n[ ! -e {STATE}/transfer ] || cat {STATE}/transfer")
}

/// The boot id.
pub(crate) const BOOT_ID: &str = "cat /proc/sys/kernel/random/boot_id";

/// Notes which slot's module is made a disk, in which boot of the BMC.
pub(crate) fn note_disk(slot: u8) -> String {
    let name = "disk";
    format!(
        "umask 077; mkdir -p {STATE} && cd {STATE} && {{ echo {slot}; cat /proc/sys/kernel/random/boot_id; }} > {name} && {}",
        sync(name)
    )
}

/// Takes that note away.
pub(crate) const NO_DISK_NOTED: &str = "rm -f /root/.bringup/disk";

/// Whether a slot's module is a disk of the BMC: by our note of this boot, and by a disk that is there.
pub(crate) fn is_disk(slot: u8) -> String {
    format!(
        "{{ read -r slot && read -r boot; }} < {STATE}/disk 2>/dev/null || exit {NONE}\n\
         read -r now < /proc/sys/kernel/random/boot_id\n\
         [ \"$slot\" = {slot} ] && [ \"$boot\" = \"$now\" ] || exit {NONE}\n\
         for vendor in /sys/block/*/device/vendor; do\n[ -r \"$vendor\" ] || continue\n\
         read -r name < \"$vendor\" || :\ncase $name in Rockchip*|RPi-MSD-*) exit 0;; esac\ndone\nexit {NONE}"
    )
}

/// The modules that wait for a boot over USB, with their ports: an RK1 in maskrom mode, a CM4 and a CM5 that boot over USB
/// (`rpiboot`'s ids). Nothing where there is no USB.
pub(crate) const WAITING_MODULES: &str = script!("waiting_modules.sh");

/// What an image on the SD card is: sum, then size, mode and time. `known` is what it was like and its sum when it was
/// last read; a file that is still like that is not read again. So is one whose sum stands beside it, unless it is
/// `doubted`.
pub(crate) fn image_file(path: &str, known: Option<(&str, Sha256)>, doubted: bool) -> String {
    let (like, sum) = known.map_or_else(Default::default, |(like, sum)| (like, sum.to_string()));
    format!(
        "path={}\n[ -f \"$path\" ] || exit {NONE}\n\
         set -- $(ls -ln \"$path\") && size=$5 && time=$(date -r \"$path\" +%s) || exit 1\n\
         sum={}; like={}; beside=\"${{path%/*}}/.${{path##*/}}.sum\"\n\
         if [ \"$like\" != \"$size $time\" ] && [ {} = no ] && [ -r \"$beside\" ]; then read -r sum like < \"$beside\"; fi\n\
         if [ \"$like\" != \"$size $time\" ] || [ ${{#sum}} -ne 64 ]; then\n\
         sum=$(sha256sum < \"$path\") || exit 1\nsum=${{sum%% *}}\nfi\n\
         printf '%s\\n%s 644 %s\\n' \"$sum\" \"$size\" \"$time\"",
        word(path),
        word(&sum),
        word(like),
        if doubted { "yes" } else { "no" },
    )
}

/// Free bytes of the card that a directory is on. Without a card the directory may be there all the same, and would fill
/// the overlay.
pub(crate) fn sd_card(directory: &str) -> String {
    format!(
        "at={}\nwhile [ \"$at\" != / ] && {{ [ ! -d \"$at\" ] || ! mountpoint -q \"$at\"; }}; do\n\
         at=${{at%/*}}; [ -n \"$at\" ] || at=/\ndone\n[ \"$at\" != / ] || exit {NONE}\n\
         free=$(df -P -k \"$at\" | tail -n 1) || exit 1\nset -- $free\necho \"$4\"",
        word(directory)
    )
}

/// How much of a file has arrived: `there` if all of it.
pub(crate) fn arrived(to: &str, sha256: Sha256) -> String {
    format!(
        "{SIZE}\nto={}; sum={}\numask 022; mkdir -p \"${{to%/*}}\" || exit 1\n\
         if [ -f \"$to\" ]; then have=$(sha256sum < \"$to\"); [ \"${{have%% *}}\" != \"$sum\" ] || {{ echo there; exit; }}; fi\n\
         part={}\n[ -f \"$part\" ] || {{ echo 0; exit; }}\nsize \"$part\"",
        word(to),
        word(&sha256.to_string()),
        part(to, sha256)
    )
}

/// The name of a file while it arrives, as a word: named for its content, so another file's part is never gone on with.
fn part(to: &str, sha256: Sha256) -> String {
    word(&format!("{to}.{}.part", sha256.short()))
}

/// Takes bytes from standard input behind those that have arrived, and prints the sum of all. What was written is summed
/// while more comes, before the system has dropped it from memory: to read a large file again takes as long as to write it.
/// Not through `tee`, as busybox's reads 1 KiB at a time: `ssh BMC 'tee FILE | sha256sum'` took 13 to 17 s for 1000 MiB
/// on a testbed where this took 7.
pub(crate) fn receive(to: &str, sha256: Sha256, anew: bool) -> String {
    let part = part(to, sha256);
    let start = if anew { format!(": > {part} || exit 1\n") } else { String::new() };
    // An empty line for each piece that was written; the far end of the pipe goes on in the file from where it was. A
    // failure of dd's, a full card most of all, must not be hidden by that end.
    format!(
        "{SIZE}\npart={part}\n{start}\
         {{ had=; now=$(size \"$part\")\n\
         while [ \"$now\" != \"$had\" ]; do\n\
         said=$(dd bs=64k count=128 2>&1 >>\"$part\") || {{ printf '%s\\n' \"$said\" | head -n 1 >&2; echo failed >&2; break; }}\n\
         echo; had=$now; now=$(size \"$part\")\ndone; }} \
         | {{ while read -r _; do cat <&4; done; }} 4<\"$part\" | sha256sum"
    )
}

/// Puts a file that has arrived in place, with its sum beside it.
pub(crate) fn place(to: &str, sha256: Sha256) -> String {
    format!(
        "to={}; sum={}; part={}\nchmod 0644 \"$part\" && {sync} && mv -f \"$part\" \"$to\" || exit 1\n\
         set -- $(ls -ln \"$to\") && time=$(date -r \"$to\" +%s) \
         && printf '%s %s %s\\n' \"$sum\" \"$5\" \"$time\" > \"${{to%/*}}/.${{to##*/}}.sum\"; :",
        word(to),
        word(&sha256.to_string()),
        part(to, sha256),
        sync = sync("\"$part\""),
    )
}

/// Takes away what arrived and is not what was sent.
pub(crate) fn discard(to: &str, sha256: Sha256) -> String {
    format!("rm -f {}", part(to, sha256))
}

/// The last bytes of a file.
pub(crate) fn end_of(path: &str, bytes: u64) -> String {
    format!("tail -c {bytes} {}", word(path))
}

/// Size of a file in bytes.
pub(crate) fn size_of(path: &str) -> String {
    format!("{SIZE}\npath={}\n[ -f \"$path\" ] || exit {NONE}\nsize \"$path\"", word(path))
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
    let script = format!(
        "exec 9>>/run/bringup.lock || exit 1\n\
         if ! flock -n 9; then\n\
         read -r token pid who < /run/bringup.lock\n\
         if [ \"$token\" = {token} ]; then kill \"$pid\" 2>/dev/null; sleep 1; fi\n\
         flock -n 9 || {{ echo \"bringup busy $who\"; exit 0; }}\nfi\n\
         printf '%s %s %s\\n' {token} $$ {} > /run/bringup.lock\necho bringup held\n\
         while read -r -t 90 line; do :; done\n: > /run/bringup.lock",
        word(who),
        token = word(token),
    );
    // `read -t` is of bash and of busybox, not of every sh.
    format!("if command -v bash >/dev/null 2>&1; then exec bash -c {0}; else exec sh -c {0}; fi", word(&script))
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
    let run = format!(
        "tpi flash -l -n {slot} -i {} > out 2> err < /dev/null; echo $? > status.new; mv status.new status",
        word(path)
    );
    format!(
        "umask 077; rm -rf {STATE}/tpi && mkdir -p {STATE}/tpi && cd {STATE}/tpi || exit 1\n\
         setsid sh -c {} < /dev/null > /dev/null 2>&1 &\n\
         tries=0; until [ -s pid ] || [ $tries -ge 10 ]; do tries=$((tries + 1)); sleep 1; done\n[ -s pid ]",
        word(&format!("echo $$ > pid; {run}"))
    )
}

/// How that flash stands: bytes written to and read from the module's disk, or nothing; `running`, `gone` or its status;
/// then what it printed.
pub(crate) fn tpi_flash_state() -> String {
    format!(
        "cd {STATE}/tpi 2>/dev/null || exit {NONE}\n\
         moved=\nfor vendor in /sys/block/*/device/vendor; do\n[ -r \"$vendor\" ] || continue\n\
         read -r name < \"$vendor\" || :\ncase $name in Rockchip*|RPi-MSD-*)\n\
         disk=${{vendor%/device/vendor}}; set -- $(cat \"$disk/stat\" 2>/dev/null)\n\
         [ $# -lt 7 ] || moved=$((512 * ($3 + $7)));; esac\ndone\necho \"$moved\"\n\
         if [ -e status ]; then cat status\nelif read -r pid < pid && kill -0 \"$pid\" 2>/dev/null; then echo running\n\
         elif [ -e status ]; then cat status\nelse echo gone; fi\n\
         tail -n 5 out; tail -n 5 err >&2; :"
    )
}

#[cfg(test)]
mod tests;
