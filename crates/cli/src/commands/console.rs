//! `bringup console`: a node's serial console. A file or a pipe gets what the board has of it, byte for byte, as from
//! `kubectl logs`; on a terminal what would act on that is escaped, because anyone on the node writes there.

use std::io::ErrorKind;
use std::time::Duration;

use crate::args::Console;
use crate::commands::boards::{Boards, block_on, failed};
use crate::exit_status::ExitStatus;
use crate::terminal::{self, console_text};

/// How often the board is asked. Its ring of 16 KiB holds more than a second of the fastest console.
const EVERY: Duration = Duration::from_secs(1);
/// How many times in a row it may not answer.
const MISSED: u32 = 20;

/// Runs it.
pub fn run(arguments: &Console) -> ExitStatus {
    let opened = Boards::open(&arguments.site, &arguments.login);
    let boards = match opened {
        Ok(boards) => boards,
        Err(status) => return status,
    };
    let place = match boards.node(&arguments.node) {
        Ok((_, place)) => place,
        Err(status) => return status,
    };
    block_on(async {
        let (mut before, mut missed) = (String::new(), 0);
        loop {
            match boards.world.console(place).await {
                Ok(now) => {
                    missed = 0;
                    let news = news(&before, &now);
                    let written = match terminal::is_terminal() {
                        true => terminal::print_exact(&console_text(news)),
                        false => terminal::print_exact(news),
                    };
                    match written {
                        Ok(()) => {}
                        // Whoever reads this went away.
                        Err(error) if error.kind() == ErrorKind::BrokenPipe => return ExitStatus::Done,
                        failed => return crate::ui::written(failed).err().unwrap_or(ExitStatus::Done),
                    }
                    before = now;
                }
                Err(fault) if !fault.cause.is_passing() || missed == MISSED => return failed(&fault),
                Err(_) => missed += 1,
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}

/// What of the text now was not in the text before. Both end where the console ended then; the later one may begin later.
fn news<'a>(before: &str, now: &'a str) -> &'a str {
    let starts = before.char_indices().map(|(start, _)| start);
    let overlap = starts.map(|start| &before[start..]).find(|rest| now.starts_with(rest));
    &now[overlap.map_or(0, str::len)..]
}

#[cfg(test)]
mod tests {
    use super::news;

    #[test]
    fn what_was_shown_is_not_shown_again() {
        for (before, now, new) in [
            ("", "booting", "booting"),
            ("boot", "booting", "ing"),
            ("booting", "booting", ""),
            ("1\n2\n3\n", "2\n3\n4\n", "4\n"),
            ("grün", "ün!", "!"),
            ("before", "after it all", "after it all"),
            ("before", "", ""),
        ] {
            assert_eq!(news(before, now), new, "{before:?} {now:?}");
        }
    }
}
