//! A password, typed where nobody sees it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// No password is longer, in bytes: what terminals take as one line.
const LONGEST: u64 = 4096;

/// Asks on the terminal of this process, wherever standard input and output lead.
///
/// # Errors
/// When there is no terminal, or it fails.
pub(super) fn ask(question: &str) -> io::Result<String> {
    ask_on(&File::options().read(true).write(true).open("/dev/tty")?, question)
}

fn ask_on(mut terminal: &File, question: &str) -> io::Result<String> {
    // First of all: whoever types before the question is read is not shown, either.
    let _silent = Silent::begin(terminal)?;
    terminal.write_all(question.as_bytes())?;
    let mut line = String::new();
    if BufReader::new(terminal.take(LONGEST)).read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A terminal that shows nothing of what is typed but the end of the line, until this is dropped.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn begin(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        silent.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(terminal, OptionalActions::Now, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Where it fails, the terminal is gone.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    #[test]
    fn nothing_of_it_is_shown_from_the_first_byte_of_the_question_on() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = File::options().read(true).write(true).open(name).unwrap();
        let echoes = || tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO);
        assert!(echoes());

        let mut master = File::from(master);
        let asked = terminal.try_clone().unwrap();
        let asking = std::thread::spawn(move || ask_on(&asked, "Password: "));
        let mut shown = [0; 10];
        master.read_exact(&mut shown).unwrap();
        assert!(!echoes());
        master.write_all(b"secret\n").unwrap();
        assert_eq!(asking.join().unwrap().unwrap(), "secret");
        let mut rest = [0; 2];
        master.read_exact(&mut rest).unwrap();
        assert_eq!((&shown, &rest), (b"Password: ", b"\r\n"));
        assert!(echoes());
    }
}
