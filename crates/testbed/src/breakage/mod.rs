//! Breaking things in hosts, and fixing them.

pub mod marks;

use clap::ValueEnum;

use crate::failure::{Failure, Tried};
use crate::host::{guest, power};
use crate::net::{dnsmasq, serve};
use crate::testbed::{ACCOUNT, Host, Testbed};

/// What can be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum What {
    /// sshd is stopped and masked, and its sessions are ended
    RefuseSsh,
    /// Each SSH session dies after the first bytes of its command's output
    CloseMidCommand,
    /// Nothing more can be written below /var, /tmp, /etc, /home, /root, /opt and /usr
    FullDisk,
    /// Somebody holds dpkg's and apt's locks for 60 s
    AptLock,
    /// A package is unpacked and not configured
    HalfConfigured,
    /// The host has other SSH host keys
    ChangedHostKey,
    /// The account is in no sudoers file
    NoSudo,
    /// sudo asks for the password, which is `open-sesame-of-the-testbed`
    SudoPassword,
    /// The host's name is under another domain
    WrongDns,
    /// A reboot is accepted and never happens
    NoReboot,
    /// The next reboot goes down and does not come back
    NoReturn,
    /// What runs in SSH sessions sees a clock that is an hour ahead
    ClockOff,
    /// The login shell prints a banner for commands, too
    NoisyShell,
    /// The account's shell is fish
    FishShell,
    /// The root file system is read-only
    ReadOnlyRoot,
    /// Sessions are told TERM=dumb
    DumbTerm,
}

impl What {
    /// Its name on the command line and in the records.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The shell that breaks it (`$1` is `break`) and fixes it (`fix`) inside; `None` if that is done outside.
    fn script(self) -> Option<&'static str> {
        Some(match self {
            Self::RefuseSsh => include_str!("../../breaks/refuse-ssh.sh"),
            Self::CloseMidCommand => include_str!("../../breaks/close-mid-command.sh"),
            Self::FullDisk => include_str!("../../breaks/full-disk.sh"),
            Self::AptLock => include_str!("../../breaks/apt-lock.sh"),
            Self::HalfConfigured => include_str!("../../breaks/half-configured.sh"),
            Self::ChangedHostKey => include_str!("../../breaks/changed-host-key.sh"),
            Self::NoSudo => include_str!("../../breaks/no-sudo.sh"),
            Self::SudoPassword => include_str!("../../breaks/sudo-password.sh"),
            Self::NoReboot => include_str!("../../breaks/no-reboot.sh"),
            Self::ClockOff => include_str!("../../breaks/clock-off.sh"),
            Self::NoisyShell => include_str!("../../breaks/noisy-shell.sh"),
            Self::FishShell => include_str!("../../breaks/fish-shell.sh"),
            Self::ReadOnlyRoot => include_str!("../../breaks/read-only-root.sh"),
            Self::DumbTerm => include_str!("../../breaks/dumb-term.sh"),
            Self::WrongDns | Self::NoReturn => return None,
        })
    }

    /// Whether a reboot or a power cut fixes it.
    fn ends_with_the_boot(self) -> bool {
        matches!(self, Self::FullDisk | Self::AptLock | Self::ReadOnlyRoot)
    }
}

/// Breaks something. The note that it is broken comes first.
pub fn break_it(testbed: &Testbed, host: &Host, what: What) -> Result<(), Failure> {
    marks::set(testbed, host, &what.name())?;
    let broken = change(testbed, host, what, "break");
    if broken.is_err() && guest::leader(testbed, host)?.is_none() {
        // Nothing was reached, so nothing was broken.
        marks::clear(testbed, host, &what.name())?;
    }
    broken
}

/// Fixes it, whether or not it is broken.
pub fn fix(testbed: &Testbed, host: &Host, what: What) -> Result<(), Failure> {
    if what == What::WrongDns || what == What::NoReturn {
        marks::clear(testbed, host, &what.name())?;
    }
    change(testbed, host, what, "fix")?;
    marks::clear(testbed, host, &what.name())
}

/// Forgets what a new boot has fixed by itself.
pub fn after_boot(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let mut gone = What::value_variants().iter().filter(|what| what.ends_with_the_boot());
    gone.try_for_each(|what| marks::clear(testbed, host, &what.name()))
}

fn change(testbed: &Testbed, host: &Host, what: What, verb: &str) -> Result<(), Failure> {
    match what.script() {
        Some(script) => {
            if what == What::HalfConfigured {
                hand_over(testbed, host)?;
            }
            guest::shell(testbed, host, script, &[verb, ACCOUNT]).map(drop)
        }
        None if what == What::WrongDns => {
            dnsmasq::tell(testbed)?;
            serve::provide(testbed)
        }
        None if verb == "fix" => power::start(testbed, host),
        None => Ok(()),
    }
}

/// Puts the package that is to be left half-configured where the script looks for it.
fn hand_over(testbed: &Testbed, host: &Host) -> Result<(), Failure> {
    let Some(leader) = guest::leader(testbed, host)? else { return Ok(()) };
    let from = testbed.base_directory().join("apart/bringup-half_1.0_all.deb");
    let to = guest::root(leader).join("var/lib/testbed/bringup-half.deb");
    std::fs::copy(&from, &to).map(drop).tried(|| format!("copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_can_break_and_mend() {
        for what in What::value_variants() {
            if let Some(script) = what.script() {
                assert!(script.contains("break)") && script.contains("fix)"), "{}", what.name());
            }
        }
        assert_eq!(What::CloseMidCommand.name(), "close-mid-command");
    }
}
