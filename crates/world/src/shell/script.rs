//! Several pieces of shell in one script, and what each of them printed.
//!
//! All of it goes over standard input to `/bin/sh`, so that no login shell has a say in it and nothing shows in a process
//! list. It is one function, called at the end: a shell reads it whole before it does any of it, a connection that
//! breaks half-way does nothing, and commands inside cannot eat the rest of the script.

use std::fmt::Write as _;

/// Exit status that says "there is none", in answers that may be nothing.
pub(crate) const NONE: i32 = 44;
/// A function of shell that says so when a directory's file system has no room: some shells call that an I/O error.
pub(super) const NO_ROOM: &str = script!("no_room.sh");

/// A script that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Marks the sections. Made anew for each script: no output can contain it by accident or on purpose.
    mark: String,
    body: String,
    pieces: usize,
}

/// What one piece of a script printed, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Section {
    /// Standard output, without the newline at its end.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit status.
    pub status: i32,
}

/// What each script begins with: one locale, one path, no surprise from the account's environment.
const PRELUDE: &str = script!("prelude.sh");

impl Script {
    /// An empty one.
    pub fn new() -> Self {
        Self::marked(format!("bringup-{:032x}", fastrand::u128(..)))
    }

    pub(super) fn marked(mark: String) -> Self {
        Self { mark, body: String::new(), pieces: 0 }
    }

    /// Adds a piece that runs in a shell of its own, after those before it, whatever became of them.
    pub fn add(&mut self, piece: &str) {
        let Self { mark, pieces, .. } = self;
        // Writing to a String cannot fail.
        let _ = write!(
            self.body,
            "printf '\\n%s %s\\n' {mark} {pieces}; printf '\\n%s %s\\n' {mark} {pieces} >&2\n(:\n{piece}\n) </dev/null\n\
             printf '\\n%s end %s\\n' {mark} $?\n"
        );
        self.pieces += 1;
    }

    /// The script's text.
    pub fn text(&self) -> String {
        format!("bringup() {{\n{PRELUDE}\n{}}}\nbringup; exit 0\n", self.body)
    }

    /// Whether it ran at all, by its standard output.
    pub fn ran(&self, out: &[u8]) -> bool {
        let mark = self.mark.as_bytes();
        out.windows(mark.len()).any(|window| window == mark)
    }

    /// Takes apart what came back. `None` for a piece whose end did not come.
    pub fn sections(&self, out: &str, err: &str) -> Vec<Option<Section>> {
        let mut sections: Vec<Option<Section>> = vec![None; self.pieces];
        let mut open: Option<(usize, &str)> = None;
        for (head, text) in self.marked_parts(out) {
            if let Ok(index) = head.parse() {
                open = Some((index, text));
                continue;
            }
            let (Some((index, out)), Some(status)) = (open.take(), head.strip_prefix("end ")) else { continue };
            if let (Some(section), Ok(status)) = (sections.get_mut(index), status.parse()) {
                let out = out.strip_suffix('\n').unwrap_or(out).to_owned();
                *section = Some(Section { out, err: String::new(), status });
            }
        }
        for (head, text) in self.marked_parts(err) {
            let section = head.parse().ok().and_then(|index: usize| sections.get_mut(index)?.as_mut());
            if let Some(section) = section {
                text.trim_end().clone_into(&mut section.err);
            }
        }
        sections
    }

    /// Each mark's words, and what stands behind it; what a login shell printed before the first is nobody's.
    fn marked_parts<'a>(&self, text: &'a str) -> Vec<(&'a str, &'a str)> {
        let mark = format!("\n{} ", self.mark);
        text.split(mark.as_str()).skip(1).map(|part| part.split_once('\n').unwrap_or((part, ""))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn run(script: &Script, shell: &[&str]) -> Vec<Option<Section>> {
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(script.text().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        script.sections(&String::from_utf8_lossy(&output.stdout), &String::from_utf8_lossy(&output.stderr))
    }

    fn section(out: &str, err: &str, status: i32) -> Option<Section> {
        Some(Section { out: out.to_owned(), err: err.to_owned(), status })
    }

    #[test]
    fn pieces_are_told_apart_whatever_they_print() {
        let mut script = Script::new();
        script.add("printf 'no newline'");
        script.add("echo out; echo err >&2; exit 3");
        script.add("cat; echo 'two\nlines\n'");
        script.add("");
        script.add("printf '\\n\\n'; exec 2>&1; nonsense-command");
        let sections = run(&script, &["sh"]);
        assert_eq!(sections[0], section("no newline", "", 0));
        assert_eq!(sections[1], section("out", "err", 3));
        assert_eq!(sections[2], section("two\nlines\n", "", 0));
        assert_eq!(sections[3], section("", "", 0));
        assert_eq!(sections[4].as_ref().unwrap().status, 127);
    }

    #[test]
    fn a_noisy_login_shell_is_passed_over() {
        let mut script = Script::new();
        script.add("echo answer");
        assert_eq!(run(&script, &["sh", "-c", "echo Welcome; echo 1 2 3; exec sh"]), [section("answer", "", 0)]);
    }

    #[test]
    fn a_script_that_is_cut_off_does_nothing() {
        let mut script = Script::new();
        script.add("echo done");
        let text = script.text();
        for length in (0..text.len() - "bringup; exit 0\n".len()).step_by(9) {
            let mut child =
                Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(&text.as_bytes()[..length]).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "", "cut at {length}");
        }
    }

    #[test]
    fn a_piece_without_an_end_is_none() {
        let mut script = Script::new();
        script.add("echo one");
        script.add("kill -9 $$");
        let sections = run(&script, &["sh"]);
        assert_eq!(sections, [section("one", "", 0), None]);
    }
}
