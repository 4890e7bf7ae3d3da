//! Scripts as root.

use std::time::Duration;

use bringup_core::text::secret::Secret;
use russh::ChannelMsg;
use tokio::time::timeout;

use super::Failure;
use super::session::{Output, Running, Session, Sudo, collect, keep, lost};
use crate::shell::word;

/// How long sudo may take to ask, or to let us in: PAM may ask a directory server.
const SUDO_BOUND: Duration = Duration::from_secs(30);

const PROMPT: &str = "bringup-asks-for-a-password";
const READY: &str = "bringup-is-root";

impl Session {
    /// Runs a script as root. What it is has to show in its output: `ran` tells whether it ran.
    ///
    /// The command line holds no secret and nothing but plain words, for login shells of all kinds.
    pub async fn run_as_root(&self, script: &str, ran: impl Fn(&Output) -> bool) -> Result<Output, Failure> {
        if self.route.user == "root" {
            let _ = self.sudo.set(Sudo::Root);
        }
        match self.sudo.get() {
            Some(Sudo::Root) => return self.run("/bin/sh", script.as_bytes()).await,
            Some(Sudo::Password) => {}
            Some(Sudo::Refused) => return Err(refused()),
            Some(Sudo::Free) | None => {
                let output = self.run("sudo -n -- /bin/sh", script.as_bytes()).await?;
                if ran(&output) {
                    let _ = self.sudo.set(Sudo::Free);
                    return Ok(output);
                }
                // It did not even begin: sudo itself ends with 1 where it wants a password.
                if output.status != Some(1) || self.route.become_password.is_none() {
                    return match output.status {
                        None => Err(Failure::Lost("it was closed in the middle of a command".to_owned())),
                        Some(status) => Err(Failure::NotRoot(words(&output, status))),
                    };
                }
            }
        }
        let Some(password) = self.route.become_password.clone() else {
            return Err(Failure::NotRoot("sudo wants a password".to_owned()));
        };
        let output = self.run_with_password(script, &password).await?;
        let _ = self.sudo.set(Sudo::Password);
        Ok(output)
    }

    async fn run_with_password(&self, script: &str, password: &Secret) -> Result<Output, Failure> {
        let mut running = self.start_with_password("exec /bin/sh", password).await?;
        running.write.data(script.as_bytes()).await.map_err(|error| lost(&error))?;
        running.write.eof().await.map_err(|error| lost(&error))?;
        collect(&mut running.read).await
    }

    /// Starts a command as root that will be given bytes. How root is come by is known from a script before it.
    pub(super) async fn start_as_root(&self, command: &str) -> Result<Running<'_>, Failure> {
        let quoted = word(command);
        match (self.sudo.get(), &self.route.become_password) {
            (Some(Sudo::Root), _) => self.start(&format!("/bin/sh -c {quoted}")).await,
            (Some(Sudo::Refused), _) => Err(refused()),
            (Some(Sudo::Password), Some(password)) => self.start_with_password(command, &password.clone()).await,
            _ => self.start(&format!("sudo -n -- /bin/sh -c {quoted}")).await,
        }
    }

    /// The password goes only where sudo asks for it, and once: an account is not to be locked by us.
    async fn start_with_password(&self, command: &str, password: &Secret) -> Result<Running<'_>, Failure> {
        let command = word(&format!("echo {READY}; {command}"));
        let mut running = self.start(&format!("sudo -k -S -p {PROMPT} -- /bin/sh -c {command}")).await?;
        match timeout(SUDO_BOUND, answer_sudo(&mut running, password)).await {
            Ok(Ok(Said::Runs)) => Ok(running),
            Ok(Ok(Said::Refused(why))) => {
                let _ = self.sudo.set(Sudo::Refused);
                Err(Failure::NotRoot(why))
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(Failure::NotRoot(format!("sudo does not answer within {} s", SUDO_BOUND.as_secs()))),
        }
    }
}

const REFUSED: &str = "sudo rejected the password";

fn refused() -> Failure {
    Failure::NotRoot(REFUSED.to_owned())
}

/// What sudo makes of the password.
enum Said {
    /// The command runs.
    Runs,
    /// It asks again, or has ended: some systems allow one attempt. Why, in words.
    Refused(String),
}

/// Gives the password when it is asked for, and comes back when sudo has decided.
async fn answer_sudo(running: &mut Running<'_>, password: &Secret) -> Result<Said, Failure> {
    let (mut output, mut asked) = (Output::default(), false);
    let (mut ready, mut prompt) = (Word::new(READY), Word::new(PROMPT));
    while let Some(message) = running.read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                keep(&mut output.out, &data);
                if ready.comes(&data) {
                    return Ok(Said::Runs);
                }
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                keep(&mut output.err, &data);
                if !prompt.comes(&data) {
                    continue;
                }
                if asked {
                    return Ok(Said::Refused(REFUSED.to_owned()));
                }
                (asked, output.err, prompt) = (true, Vec::new(), Word::new(PROMPT));
                let line = format!("{}\n", password.expose());
                running.write.data(line.as_bytes()).await.map_err(|error| lost(&error))?;
            }
            ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    match output.status {
        Some(status) if asked => Ok(Said::Refused(format!("{REFUSED}\n{}", words(&output, status)))),
        Some(status) => Err(Failure::NotRoot(words(&output, status))),
        // It was not sudo that said no: the host goes down, or the connection did.
        None => Err(Failure::Lost("it was closed before sudo answered".to_owned())),
    }
}

/// A word that is looked for in what comes piece by piece, each byte of which is seen once.
struct Word {
    word: &'static [u8],
    /// The end of what came, in which the word may begin.
    end: Vec<u8>,
}

impl Word {
    fn new(word: &'static str) -> Self {
        Self { word: word.as_bytes(), end: Vec::new() }
    }

    /// Whether it has come with this piece.
    fn comes(&mut self, piece: &[u8]) -> bool {
        self.end.extend_from_slice(piece);
        let found = self.end.windows(self.word.len()).any(|window| window == self.word);
        let seen = self.end.len().saturating_sub(self.word.len() - 1);
        self.end.drain(..seen);
        found
    }
}

fn words(output: &Output, status: u32) -> String {
    let err = String::from_utf8_lossy(&output.err);
    let said = if err.trim().is_empty() { String::from_utf8_lossy(&output.out) } else { err };
    format!("sudo ended with status {status}\n{}", said.trim())
}

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn a_word_comes_in_pieces_and_what_was_seen_is_not_kept() {
        for (pieces, found) in [
            (&["abc"][..], true),
            (&["xxab", "c"], true),
            (&["a", "b", "c"], true),
            (&["ab", "", "c"], true),
            (&["ab", "xc"], false),
            (&[""], false),
        ] {
            let mut word = Word::new("abc");
            assert_eq!(pieces.iter().any(|piece| word.comes(piece.as_bytes())), found, "{pieces:?}");
        }
        let mut word = Word::new("abc");
        for _ in 0..1000 {
            assert!(!word.comes(&[b'x'; 1000]));
            assert!(word.end.len() < 3);
        }
    }
}
