//! Detached work on a node: a transient systemd unit and a directory that says what it is, when it was begun and how
//! it ended.
//!
//! `/var/lib/bringup/jobs/NAME/` holds `hash` and `boot` (written before the start), `run` (the script), `log` and, last
//! of all, `status`. A job without `status` whose unit is gone, or that belongs to another boot, came to a bad end.

use bringup_core::contract::Job;

use super::quote::word;
use super::script::{NO_ROOM, NONE};

const DIRECTORY: &str = "/var/lib/bringup/jobs";

/// How many of its last lines a job's state brings.
const LINES: u32 = 12;

/// Hash, boot, how it stands and how many seconds ago it ended, then its last lines.
pub(super) fn state(name: &str) -> String {
    let (directory, unit) = (format!("{DIRECTORY}/{name}"), unit(name));
    format!(
        "cd {directory} 2>/dev/null && [ -e hash ] && [ -e boot ] || exit {NONE}\n\
         cat hash boot\n\
         read -r now < /proc/sys/kernel/random/boot_id; read -r then < boot\n\
         ended() {{ cat status; echo $(($(date +%s) - $(stat -c %Y status))); }}\n\
         if [ -e status ]; then ended\n\
         elif [ \"$now\" = \"$then\" ] && systemctl is-active --quiet {unit}; then echo running; echo -\n\
         elif [ -e status ]; then ended\n\
         else echo gone; echo -; fi\n\
         tail -n {LINES} log 2>/dev/null; :"
    )
}

/// The names of those that run in this boot, a line each.
pub(super) fn running() -> String {
    let unit = unit("$name");
    format!(
        "cd {DIRECTORY} 2>/dev/null || exit 0\n\
         read -r now < /proc/sys/kernel/random/boot_id\n\
         for name in *; do\n\
         [ -e \"$name/hash\" ] && [ ! -e \"$name/status\" ] && read -r then < \"$name/boot\" || continue\n\
         [ \"$now\" = \"$then\" ] && systemctl is-active --quiet \"{unit}\" && echo \"$name\"\n\
         done; :"
    )
}

fn unit(name: &str) -> String {
    format!("bringup-{name}.service")
}

/// Starts a job, unless one of its kind runs. A second start of the same one, after a lost connection, finds it running
/// and is content.
pub(super) fn start(job: &Job) -> String {
    let (name, hash) = (job.name(), job.hash());
    let (directory, unit) = (format!("{DIRECTORY}/{name}"), unit(name));
    let script = format!(
        "#!/bin/sh\nexport LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a APT_LISTCHANGES_FRONTEND=none\n\
         cd {directory} || exit 1\n({}\n) > log 2>&1 < /dev/null\necho $? > status.new; sync -d status.new\nmv status.new status\n",
        work(job)
    );
    format!(
        "if systemctl is-active --quiet {unit}; then\n\
         [ \"$(cat {directory}/hash)\" = {hash} ] && exit 0\n\
         echo 'another {name} runs here' >&2; exit 1\nfi\n\
         {}\n\
         {{ mkdir -p -m 0700 /var/lib/bringup {DIRECTORY} && rm -rf {directory} && mkdir -m 0700 {directory} \
         && cd {directory} && printf '%s' {} > run && chmod 0700 run && cat /proc/sys/kernel/random/boot_id > boot \
         && echo {hash} > hash; }} || {{ no_room /var/lib; exit 1; }}\n\
         systemctl reset-failed {unit} 2>/dev/null\n\
         systemd-run --quiet --unit={unit} --description={} --property=KillMode=process -- {directory}/run",
        NO_ROOM,
        word(&script),
        word(&format!("bringup: {job}")),
    )
}

/// How long apt waits for whoever holds dpkg's lock: unattended-upgrades at a first boot takes minutes.
const LOCK_BOUND: u32 = 1800;

/// What a job does.
fn work(job: &Job) -> String {
    // Configuration files that the operator changed stay; new defaults come where nobody changed anything.
    let apt = format!(
        "apt-get -q -y -o DPkg::Lock::Timeout={LOCK_BOUND} -o Dpkg::Options::=--force-confdef \
         -o Dpkg::Options::=--force-confold"
    );
    match job {
        Job::ConfigurePackages => wait_for_dpkg("dpkg --force-confdef --force-confold --configure -a"),
        Job::DistUpgrade => {
            format!("{} && {apt} dist-upgrade", wait_for_lists(&format!("{apt} -o APT::Update::Error-Mode=any update")))
        }
        Job::Autoremove => format!("{apt} autoremove"),
        Job::InstallPackages { names } => {
            let names: Vec<String> = names.iter().map(|name| word(name)).collect();
            let names = names.join(" ");
            // Lists that know none of them may be too old for what is asked.
            format!("{apt} install {names} || {{ {apt} update && {apt} install {names}; }}")
        }
        Job::InstallGpuDriver => "ubuntu-drivers install".to_owned(),
        // It exits 0 on anything but `y`, so only its last word tells that it was done.
        Job::MoveRoot { disk } => format!(
            "printf 'y\\n' > answer && ubuntu-rockchip-install {} < answer > said; status=$?\ncat said\n\
             [ $status -eq 0 ] && grep -q 'Done!' said",
            word(disk.as_str())
        ),
    }
}

/// dpkg itself does not wait for its lock, and flock(1) takes another kind of lock than it does. It ends with 2 when it
/// cannot work with its own files, a lock among them, and with 1 when a package fails (dpkg(1), EXIT STATUS).
fn wait_for_dpkg(command: &str) -> String {
    format!(
        "waited=0\nwhile :; do {command}; status=$?\n\
         [ $status -eq 2 ] && [ $waited -lt {LOCK_BOUND} ] || exit $status\n\
         sleep 2; waited=$((waited + 2)); done"
    )
}

/// `apt-get update` does not wait for the lists' lock before apt 2.3; the lock is tried instead, for a while.
fn wait_for_lists(command: &str) -> String {
    format!(
        "{{ tries=0\nuntil {command}; do\ntries=$((tries + 1)); [ $tries -lt 5 ] || exit 1\n\
         sleep 15\ndone; }}"
    )
}
