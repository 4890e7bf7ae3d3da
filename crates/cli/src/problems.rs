//! Problems of a site for a person: the line, what in it is meant, what would be right.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use bringup_core::site::{Problem, Problems, Severity, Spot};

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
    // What the renderer is given has nothing left in it that acts on a terminal; it would show some of that in its own way,
    // and pass on the rest.
    let message = Line::new(&problem.message).to_string();
    let help = problem.help.as_ref().map(|help| Line::new(help).to_string());
    match &problem.spot {
        Some(spot) => {
            let level = match problem.severity {
                Severity::Error => Level::ERROR,
                Severity::Warning => Level::WARNING,
            };
            let mut group = at(spot, Group::with_title(level.primary_title(message)));
            if let Some(help) = help {
                group = group.element(Level::HELP.message(help));
            }
            Renderer::plain().render(&[group]).lines().for_each(|line| lines.push(line));
        }
        // The renderer would draw a margin beside no line.
        None => {
            let word = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            lines.push(format_args!("{word}: {message}"));
            if let Some(help) = help {
                lines.push(format_args!("  help: {help}"));
            }
        }
    }
    lines.push("");
}

/// With the line of a spot, and what in it is meant.
fn at<'a>(spot: &Spot, group: Group<'a>) -> Group<'a> {
    let file = Line::new(&spot.file).to_string();
    let (head, meant, tail) = around(spot);
    // The renderer counts columns in what is shown. Where that is not what stands in the file, it is told the column.
    let (group, more, path) = match head.chars().count() + 1 == spot.column {
        true => (group, "", Some(file)),
        false => {
            let origin = Origin::path(file).line(spot.line).char_column(spot.column);
            (group.element(origin), if spot.skipped > 0 { "…" } else { "" }, None)
        }
    };
    let start = more.len() + head.len();
    let snippet = Snippet::source(format!("{more}{head}{meant}{tail}"))
        .line_start(spot.line)
        .path(path)
        .annotation(AnnotationKind::Primary.span(start..start + meant.len()));
    group.element(snippet)
}

/// A spot's line as it is shown: what stands before what is meant, that, and what follows. An escaped character is longer
/// than itself, and so is a tab.
fn around(spot: &Spot) -> (String, String, String) {
    let before = (spot.column - 1).saturating_sub(spot.skipped);
    let shown =
        |from: usize, count: usize| Line::new(spot.text.chars().skip(from).take(count).collect::<String>()).to_string();
    (shown(0, before), shown(before, spot.length), shown(before + spot.length, spot.text.len()))
}

#[cfg(test)]
mod tests {
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
            "error: `slot_num` is a slot from 1 to 4, not `7`\n  --> hosts.yml:12:17\n   |\n12 |       slot_num: 7\n   \
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
            "warning: wrong\n --> hosts.json:1:1003\n  |\n ::: \n1 | …{ abc }\n  |    ^^^\n\n1 warning.\n"
        );
    }
}
