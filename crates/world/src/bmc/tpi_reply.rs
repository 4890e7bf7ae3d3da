//! What `tpi` prints, understood. Its exit status says little: it is 0 after a flash that failed and after a command that
//! was refused (`tpi-cli.jsonl` in the tests).

use super::api_reply::Transfer;
use super::error::BmcError;

/// What a run of it printed, and how it ended.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Printed {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit status.
    pub status: i32,
}

impl Printed {
    fn words(&self) -> String {
        let all = [self.err.trim(), self.out.trim()].map(str::to_owned);
        all.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn trouble(&self) -> BmcError {
        let said = self.words();
        if said.contains("USB interface not found") || said.contains("No supported USB devices found") {
            BmcError::NoModule(said)
        } else if said.contains("error sending request for url") {
            // All that it says of a daemon that takes no connections (tpi 1.0.7).
            BmcError::Gone(said)
        } else {
            BmcError::Script(if said.is_empty() { format!("tpi ended with status {}", self.status) } else { said })
        }
    }
}

/// That it was done: it says so, in one word.
pub(crate) fn ok(printed: &Printed) -> Result<(), BmcError> {
    if printed.status == 0 && printed.out.trim() == "ok" { Ok(()) } else { Err(printed.trouble()) }
}

/// Which slots have power, from `node1: On` and its like.
pub(crate) fn power(printed: &Printed) -> Result<[bool; 4], BmcError> {
    let mut powered = [None; 4];
    for line in printed.out.lines() {
        let Some((name, state)) = line.split_once(':') else { continue };
        let number = name.trim().strip_prefix("node").and_then(|number| number.parse::<usize>().ok());
        let place = number.and_then(|number| powered.get_mut(number.checked_sub(1)?));
        if let Some(place) = place {
            *place = match state.trim().to_ascii_lowercase().as_str() {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            };
        }
    }
    match powered {
        [Some(one), Some(two), Some(three), Some(four)] => Ok([one, two, three, four]),
        _ => Err(printed.trouble()),
    }
}

/// How a flash ended.
pub(crate) fn flashed(printed: &Printed) -> Transfer {
    let done = printed.out.lines().any(|line| line.trim() == "Done");
    if done && printed.err.trim().is_empty() && printed.status == 0 {
        Transfer::Done { size: None }
    } else {
        let said = printed.words();
        Transfer::Failed(if said.is_empty() { "tpi said nothing".to_owned() } else { said })
    }
}

/// What a serial console said. Where there is none, `tpi` panics.
pub(crate) fn console(printed: &Printed) -> Result<String, BmcError> {
    if printed.status == 0 { Ok(printed.out.clone()) } else { Err(printed.trouble()) }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Line {
        argv: Vec<String>,
        exit: i32,
        stdout: String,
        stderr: String,
    }

    fn recordings() -> Vec<(Vec<String>, Printed)> {
        let lines = include_str!("../../tests/recordings/tpi-cli.jsonl").lines();
        let line = |line| {
            let Line { argv, exit, stdout, stderr } = serde_json::from_str(line).unwrap();
            (argv, Printed { out: stdout, err: stderr, status: exit })
        };
        lines.map(line).collect()
    }

    #[test]
    fn a_dead_daemon_is_named() {
        let out = "error sending request for url (https://127.0.0.1/api/bmc?opt=get&type=power)\n".to_owned();
        let said = power(&Printed { out, err: String::new(), status: 1 });
        assert!(matches!(said, Err(BmcError::Gone(_))), "{said:?}");
    }

    #[test]
    fn whatever_tpi_prints_is_read_or_refused() {
        let (mut read, mut refused) = (0, 0);
        for (_, printed) in recordings() {
            for out in crate::mutations::of_text(&printed.out, 50) {
                let printed = Printed { out, err: printed.err.clone(), status: printed.status };
                for good in [power(&printed).is_ok(), ok(&printed).is_ok(), console(&printed).is_ok()] {
                    if good { read += 1 } else { refused += 1 }
                }
                let _ = flashed(&printed);
            }
        }
        assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
    }

    #[test]
    fn every_output_of_the_recordings_is_understood() {
        let mut seen = [0; 3];
        for (argv, printed) in recordings() {
            let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
            let no_module = printed.words().contains("USB interface");
            match argv[1..] {
                ["power", "status", ..] => {
                    power(&printed).unwrap();
                    seen[0] += 1;
                }
                ["power", ..] | ["advanced", ..] => {
                    let refused = printed.status != 0 || no_module;
                    assert_eq!(ok(&printed).is_err(), refused, "{argv:?}: {printed:?}");
                    assert_eq!(matches!(ok(&printed), Err(BmcError::NoModule(_))), no_module);
                    seen[1] += 1;
                }
                ["flash", ..] => {
                    let wrong = printed.status != 0 || printed.err.contains("Error");
                    assert_eq!(matches!(flashed(&printed), Transfer::Failed(_)), wrong, "{argv:?}: {printed:?}");
                    seen[2] += 1;
                }
                ["uart", "get", ..] => assert!(console(&printed).is_err(), "it panics without a serial worker"),
                _ => {}
            }
        }
        assert_eq!(seen, [3, 8, 11]);
    }

    #[test]
    fn exit_status_0_proves_nothing() {
        let printed = |out: &str, err: &str| Printed { out: out.to_owned(), err: err.to_owned(), status: 0 };
        assert!(ok(&printed("serial worker not started\n", "")).is_err());
        assert!(ok(&printed("", "")).is_err());
        assert!(matches!(flashed(&printed("Flashing from image file x...\n", "")), Transfer::Failed(_)));
        assert!(matches!(flashed(&printed("Done\n", "Error occured during flashing: \"USB\"\n")), Transfer::Failed(_)));
        assert_eq!(flashed(&printed("Flashing from image file x...\nDone\n", "")), Transfer::Done { size: None });
        assert!(power(&printed("node1: On\n", "")).is_err());
    }
}
