//! Problems of a site for a person: the line, what in it is meant, what would be right.

use bringup_core::site::{Problem, Problems, Severity};

use crate::terminal::{Line, Lines};

/// All problems in one report.
pub fn report(problems: &Problems) -> Lines {
    let mut lines = Lines::default();
    for problem in &problems.0 {
        write(&mut lines, problem);
    }
    let errors = problems.0.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.0.len() - errors;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => {}
        (0, _) => lines.push(format_args!("{}.", count(warnings, "warning"))),
        (_, 0) => lines.push(format_args!("{}. Nothing was contacted.", count(errors, "error"))),
        _ => lines.push(format_args!(
            "{}, {}. Nothing was contacted.",
            count(errors, "error"),
            count(warnings, "warning")
        )),
    }
    lines
}

fn write(lines: &mut Lines, problem: &Problem) {
    let word = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    lines.push(format_args!("{word}: {}", problem.message));
    if let Some(spot) = &problem.spot {
        let number = spot.line.to_string();
        let gutter = " ".repeat(number.len());
        // Measured as it is shown: an escaped character is longer than itself, and so is a tab.
        let width = |from: usize, length: usize| {
            Line::new(spot.text.chars().skip(from).take(length).collect::<String>()).width()
        };
        let before = (spot.column - 1).saturating_sub(spot.skipped);
        let there = spot.text.chars().skip(before).take(spot.length).count();
        // What is meant may lie behind the line's end.
        let marks = width(before, spot.length) + (spot.length - there);
        lines.push(format_args!("{gutter} --> {}:{}:{}", spot.file, spot.line, spot.column));
        lines.push(format_args!("{gutter} |"));
        let (more, below) = if spot.skipped > 0 { ("…", " ") } else { ("", "") };
        lines.push(format_args!("{number} | {more}{}", spot.text));
        lines.push(format_args!("{gutter} | {below}{}{}", " ".repeat(width(0, before)), "^".repeat(marks)));
    }
    if let Some(help) = &problem.help {
        lines.push(format_args!("  help: {help}"));
    }
    lines.push("");
}

#[cfg(test)]
mod tests {
    use bringup_core::site::Spot;

    use super::*;

    #[test]
    fn the_line_and_what_is_meant() {
        let problem = Problem {
            severity: Severity::Error,
            message: "`slot_num` is a slot from 1 to 4, not `7`".to_owned(),
            spot: Some(Spot {
                file: "hosts.yml".to_owned(),
                line: 12,
                column: 17,
                length: 1,
                text: "      slot_num: 7".to_owned(),
                skipped: 0,
            }),
            help: None,
        };
        assert_eq!(
            report(&Problems(vec![problem])).to_string(),
            "error: `slot_num` is a slot from 1 to 4, not `7`\n   --> hosts.yml:12:17\n   |\n12 |       slot_num: 7\n   \
             |                 ^\n\n1 error. Nothing was contacted.\n"
        );
    }

    #[test]
    fn of_a_long_line_only_a_part() {
        let spot = Spot {
            file: "hosts.json".to_owned(),
            line: 1,
            column: 1_003,
            length: 3,
            text: "{ abc }".to_owned(),
            skipped: 1_000,
        };
        let (message, help) = ("wrong".to_owned(), None);
        let problem = Problem { severity: Severity::Warning, message, spot: Some(spot), help };
        assert_eq!(
            report(&Problems(vec![problem])).to_string(),
            "warning: wrong\n  --> hosts.json:1:1003\n  |\n1 | …{ abc }\n  |    ^^^\n\n1 warning.\n"
        );
    }
}
