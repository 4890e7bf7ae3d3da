//! Other programs, run with a bound and with what they said.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::failure::{Failure, Tried};
use crate::wait;

/// How long a program may take unless its caller knows better.
const BOUND: Duration = Duration::from_secs(120);

/// A program to run.
pub struct Run {
    command: Command,
    words: Vec<OsString>,
    input: Option<Vec<u8>>,
    bound: Duration,
}

/// What a program said.
pub struct Said {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Run {
    /// A program, found on the path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref();
        Self { command: Command::new(program), words: vec![program.to_owned()], input: None, bound: BOUND }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg.as_ref());
        self.words.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Where it works.
    pub fn within(mut self, directory: impl AsRef<std::path::Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// What it reads.
    pub fn input(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// How long it may take.
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Runs it; what it said, however it ended.
    ///
    /// Files and not pipes carry what it says: a daemon that it leaves behind would hold a pipe open.
    pub fn said(mut self) -> Result<Said, Failure> {
        let words = self.words();
        let file = || tempfile::tempfile().tried(|| "make a temporary file".to_owned());
        let (mut out, mut err) = (file()?, file()?);
        let copy = |file: &File| file.try_clone().map(Stdio::from).tried(|| "share a temporary file".to_owned());
        self.command.stdout(copy(&out)?).stderr(copy(&err)?).stdin(Stdio::null());
        if let Some(text) = self.input.take() {
            let mut input = file()?;
            let wrote = input.write_all(&text).and_then(|()| input.seek(SeekFrom::Start(0)));
            wrote.tried(|| "write a temporary file".to_owned())?;
            self.command.stdin(Stdio::from(input));
        }
        let mut child = self.command.spawn().tried(|| format!("run `{words}`"))?;
        let ended = wait::until(self.bound, &format!("the end of `{words}`"), || {
            child.try_wait().tried(|| format!("wait for `{words}`"))
        });
        let status = match ended {
            Ok(status) => status,
            Err(failure) => {
                // It is ours and has had its time; what is left of it is collected at once.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failure);
            }
        };
        Ok(Said { status, out: text(&mut out)?, err: text(&mut err)? })
    }

    /// Runs it, and takes any end but success for a failure; its standard output.
    pub fn output(self) -> Result<String, Failure> {
        let words = self.words();
        let said = self.said()?;
        if said.status.success() {
            return Ok(said.out);
        }
        let both = format!("{}{}", said.out, said.err);
        let lines: Vec<&str> = both.lines().collect();
        let last = lines[lines.len().saturating_sub(12)..].join("\n");
        Err(Failure::new(format!("run `{words}`"), format!("{}\n{last}", said.status)))
    }

    fn words(&self) -> String {
        self.words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

fn text(file: &mut File) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes));
    read.tried(|| "read what a program said".to_owned())?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a program is on the path of root.
pub fn is_there(program: &str) -> bool {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|directory| std::path::Path::new(directory).join(program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_back_and_a_failure_names_the_command() {
        assert_eq!(Run::new("cat").input("hello").output().unwrap(), "hello");
        let failure = Run::new("sh").args(["-c", "echo no >&2; exit 3"]).output().unwrap_err().to_string();
        assert!(failure.contains("exit status: 3\nno"), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let failure = Run::new("sleep").arg("60").bound(Duration::from_millis(50)).output().unwrap_err();
        assert!(failure.to_string().contains("the end of `sleep 60`"), "{failure}");
    }
}
