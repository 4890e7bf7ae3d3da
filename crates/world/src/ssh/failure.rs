//! What keeps a host from being spoken to, as the operator needs it.

use bringup_core::ids::Target;
use bringup_core::run::fault::{Cause, Fault};
use bringup_core::text::known_hosts::HostKey;

/// Why a host could not be spoken to.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It could not be asked: this machine has no descriptors left, no network or no resolver. It says nothing of the host.
    Local(String),
    /// Its name does not resolve.
    Unresolved {
        /// The name.
        host: String,
        /// What the resolver says.
        said: String,
    },
    /// No address of it answers.
    Unreachable(String),
    /// known_hosts has no key for it.
    UnknownKey(HostKey),
    /// known_hosts has other keys for it, or says that this one is revoked.
    ChangedKey {
        /// What it shows.
        shown: HostKey,
        /// What is recorded.
        recorded: Vec<HostKey>,
    },
    /// It shows the host key of this other host of the site.
    Twin(String),
    /// It shows a key that is revoked, or one that contradicts what stands in a place that we do not write to.
    Contradicted {
        /// What it shows.
        shown: HostKey,
        /// What speaks against it.
        by: String,
    },
    /// It lets us in with none of what we have.
    Denied {
        /// What it shows.
        shown: HostKey,
        /// As whom.
        user: String,
        /// What was tried, and what came of it.
        tried: Vec<String>,
    },
    /// It takes what we have, or was given too much of it, and closes the connection all the same.
    TurnedAway {
        /// As whom.
        user: String,
        /// What was tried, and what came of it.
        tried: Vec<String>,
    },
    /// sudo does not make us root.
    NotRoot(String),
    /// The host that it is reached through does not let us pass. It says nothing of the host itself.
    Jump {
        /// Why.
        said: String,
        /// Whether that may pass.
        cause: Cause,
    },
    /// The connection went away.
    Lost(String),
    /// It answers as no SSH server does.
    Odd(String),
    /// It can be spoken to, but did not do what an SSH server does for everyone.
    Refused(String),
}

impl Failure {
    /// The key that the host showed before it went wrong.
    pub fn shown(&self) -> Option<&HostKey> {
        match self {
            Self::UnknownKey(shown) | Self::ChangedKey { shown, .. } | Self::Denied { shown, .. } => Some(shown),
            _ => None,
        }
    }

    /// The same of a host that others are reached through.
    pub(super) fn at_jump(self, name: &str) -> Self {
        let jump = |cause, said: String| Self::Jump { said: format!("jump host {name}: {said}"), cause };
        match self {
            Self::Unreachable(said) | Self::Lost(said) => jump(Cause::Unasked, said),
            Self::Unresolved { host, said } => jump(Cause::Unasked, format!("{host}: {said}")),
            Self::Odd(said) | Self::Refused(said) | Self::NotRoot(said) => jump(Cause::Refused, said),
            Self::UnknownKey(shown) => {
                jump(Cause::Refused, format!("known_hosts has no key for it; it shows {}", shown.fingerprint()))
            }
            Self::ChangedKey { shown, .. } => {
                jump(Cause::Refused, format!("known_hosts has other keys for it; it shows {}", shown.fingerprint()))
            }
            Self::Denied { user, tried, .. } | Self::TurnedAway { user, tried } => {
                jump(Cause::Refused, format!("it does not let {user} in\n{}", tried.join("\n")))
            }
            Self::Contradicted { by, .. } => jump(Cause::Refused, format!("it shows another key: {by}")),
            Self::Local(_) | Self::Jump { .. } | Self::Twin(_) => self,
        }
    }

    /// Whether the host lives, as far as this tells.
    ///
    /// # Errors
    /// It does not tell: nobody got as far as the host.
    pub(super) fn life(self) -> Result<bool, Self> {
        match self {
            Self::Local(_) | Self::Jump { .. } => Err(self),
            Self::Unresolved { .. } | Self::Unreachable(_) | Self::Odd(_) => Ok(false),
            Self::UnknownKey(_)
            | Self::ChangedKey { .. }
            | Self::Contradicted { .. }
            | Self::Twin(_)
            | Self::Denied { .. }
            | Self::TurnedAway { .. }
            | Self::NotRoot(_)
            | Self::Lost(_)
            | Self::Refused(_) => Ok(true),
        }
    }

    /// As a fault of whoever was `doing` something there.
    pub fn fault(&self, target: &Target, doing: &str) -> Fault {
        let fault = |cause| Fault::new(cause, target.clone(), doing);
        match self {
            Self::Local(said) => Fault { at: Target::Controller, ..fault(Cause::Unasked) }
                .said(said)
                .likely("this machine has no network or no resolver now, or no descriptors left (ulimit -n)")
                .next("see whether it reaches anything at all, then run again; nothing is concluded about the host"),
            Self::Unresolved { host, said } => fault(Cause::Unresolved)
                .said(format!("{host}: {said}"))
                .likely("its name is not in DNS, or local_domain in the site is another one")
                .next(format!("see what `getent hosts {host}` says, or give it an ansible_host")),
            Self::Unreachable(said) => fault(Cause::Unreachable)
                .said(said)
                .likely("it is off, still booting, or its SSH server does not run")
                .next("switch it on, or look at its console; then run again"),
            Self::UnknownKey(shown) => fault(Cause::Refused)
                .said(format!("known_hosts has no key for it; it shows {}", shown.fingerprint()))
                .next("run the stage known_hosts, which shows the key and records it"),
            Self::ChangedKey { shown, recorded } => {
                let recorded: Vec<String> = recorded.iter().map(HostKey::fingerprint).collect();
                fault(Cause::Refused)
                    .said(format!("known_hosts has {}; it shows {}", recorded.join(", "), shown.fingerprint()))
                    .likely("the host key changed, or another machine answers there")
                    .next("find out why; the stage known_hosts records a changed key with --accept-changed-host-keys")
            }
            Self::Denied { user, tried, .. } => fault(Cause::Denied)
                .said(tried.join("\n"))
                .likely(format!("{user} may not log in there with any of the keys tried"))
                .next("give it a key that is let in (ansible_ssh_private_key_file, or ssh-add), or a password with -k"),
            Self::Twin(other) => fault(Cause::Refused)
                .said(format!("it shows the host key of {other}"))
                .likely("both names lead to one machine, or both machines came from one image with its host keys")
                .next("correct the names or addresses, or give one of them host keys of its own: ssh-keygen -A"),
            Self::Contradicted { shown, by } => fault(Cause::Refused)
                .said(format!("it shows {}; {by}", shown.fingerprint()))
                .likely("the host key changed, or another machine answers there")
                .next("find out why; if the key is right, take that line away by hand, then run again"),
            Self::TurnedAway { user, tried } => fault(Cause::Passing)
                .said(tried.join("\n"))
                .likely(format!(
                    "it is on its way up or down, or {user} may not log in there, or it takes fewer keys than that"
                ))
                .next(format!("once it is up, see what its sshd says of {user}: journalctl -u ssh")),
            Self::NotRoot(said) => fault(Cause::Refused)
                .said(said)
                .likely("the account may not use sudo, or sudo wants a password")
                .next("let the account use sudo without a password, or give the password with -K"),
            Self::Jump { said, cause } => fault(*cause)
                .said(said)
                .next("log in to the jump host once with ssh, see that its key is right, then run again"),
            Self::Lost(said) => fault(Cause::Lost)
                .said(said)
                .likely("the network or the host's SSH server went away in the middle")
                .next("see whether it stays up, then run again: what goes on there is taken over"),
            Self::Odd(said) => fault(Cause::Failed)
                .said(said)
                .likely("something else than an SSH server listens there")
                .next("see whether host and port are right"),
            Self::Refused(said) => {
                fault(Cause::Failed).said(said).next("see what its sshd writes to its log: journalctl -u ssh")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_judged_only_by_who_got_to_it() {
        let key = || {
            HostKey::parse("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ").unwrap()
        };
        let tried = Vec::new;
        for (failure, life) in [
            (Failure::Unreachable("no answer".to_owned()), Some(false)),
            (Failure::Unresolved { host: "n".to_owned(), said: "no such name".to_owned() }, Some(false)),
            (Failure::Odd("HTTP".to_owned()), Some(false)),
            (Failure::UnknownKey(key()), Some(true)),
            (Failure::ChangedKey { shown: key(), recorded: Vec::new() }, Some(true)),
            (Failure::Denied { shown: key(), user: "me".to_owned(), tried: tried() }, Some(true)),
            (Failure::TurnedAway { user: "me".to_owned(), tried: tried() }, Some(true)),
            (Failure::Lost("in the middle".to_owned()), Some(true)),
            (Failure::Local("too many open files".to_owned()), None),
            (Failure::Unreachable("no answer".to_owned()).at_jump("jump"), None),
            (Failure::Unresolved { host: "jump".to_owned(), said: "no such name".to_owned() }.at_jump("jump"), None),
            (Failure::UnknownKey(key()).at_jump("jump"), None),
        ] {
            let text = format!("{failure:?}");
            assert_eq!(failure.life().ok(), life, "{text}");
        }
        let target = Target::Node(bringup_core::ids::NodeName::new("n"));
        let fault = Failure::Local("too many open files".to_owned()).fault(&target, "log in");
        assert_eq!((fault.at, fault.cause), (Target::Controller, Cause::Unasked));
        for (failure, cause) in [
            (Failure::Unreachable("no answer".to_owned()), Cause::Unasked),
            (Failure::Lost("in the middle".to_owned()), Cause::Unasked),
            (Failure::UnknownKey(key()), Cause::Refused),
        ] {
            let text = format!("{failure:?}");
            assert_eq!(failure.at_jump("jump").fault(&target, "log in").cause, cause, "{text}");
        }
    }
}
