//! Problems of a site for a person: the line, what in it is meant, what would be right.

use std::fmt::Write;

use bringup_core::site::{Problem, Problems, Severity};

/// All problems in one report.
pub fn report(problems: &Problems) -> String {
    let mut text = String::new();
    for problem in &problems.0 {
        write(&mut text, problem);
    }
    let errors = problems.0.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.0.len() - errors;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => {}
        (0, _) => drop(writeln!(text, "{}.", count(warnings, "warning"))),
        (_, 0) => drop(writeln!(text, "{}. Nothing was contacted.", count(errors, "error"))),
        _ => drop(writeln!(text, "{}, {}. Nothing was contacted.", count(errors, "error"), count(warnings, "warning"))),
    }
    text
}

fn write(text: &mut String, problem: &Problem) {
    let word = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let _ = writeln!(text, "{word}: {}", problem.message);
    if let Some(spot) = &problem.spot {
        let number = spot.line.to_string();
        let gutter = " ".repeat(number.len());
        // What is a tab above is a tab below, or the line under it slips.
        let indent: String = spot
            .text
            .chars()
            .take(spot.column - 1)
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let _ = writeln!(text, "{gutter} --> {}:{}:{}", spot.file, spot.line, spot.column);
        let _ = writeln!(text, "{gutter} |");
        let _ = writeln!(text, "{number} | {}", spot.text);
        let _ = writeln!(text, "{gutter} | {indent}{}", "^".repeat(spot.length));
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(text, "  help: {help}");
    }
    text.push('\n');
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
            }),
            help: None,
        };
        assert_eq!(
            report(&Problems(vec![problem])),
            "error: `slot_num` is a slot from 1 to 4, not `7`\n   --> hosts.yml:12:17\n   |\n12 |       slot_num: 7\n   \
             |                 ^\n\n1 error. Nothing was contacted.\n"
        );
    }
}
