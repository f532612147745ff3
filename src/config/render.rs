//! Problems as people read them: sorted by place, the line with a caret below it, a summary.

use std::fmt::Write;

use crate::settings::{Mark, Problem, Problems, Severity, steers};

/// The longest part of a source line that is shown, in characters.
const SHOWN: usize = 100;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const BLUE: &str = "\x1b[1;34m";
const BOLD: &str = "\x1b[1m";
const RESET: &str = "\x1b[0m";

/// Problems without a place come first, then by file and place.
pub(super) fn sort(problems: &mut Problems) {
    problems.0.sort_by_key(|problem| {
        problem.mark.as_ref().map(|mark| (mark.file.to_string(), mark.line, mark.column))
    });
}

/// The whole report, empty if there is nothing to say. Colour is for terminals only.
pub fn render(problems: &Problems, colour: bool) -> String {
    let paint = Paint { colour };
    let mut out = String::new();
    for problem in &problems.0 {
        paint.problem(&mut out, problem);
    }
    let warnings = problems.0.iter().filter(|p| p.severity == Severity::Warning).count();
    let errors = problems.0.len() - warnings;
    let counts = [(errors, "error"), (warnings, "warning")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, noun)| format!("{n} {noun}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    if !counts.is_empty() {
        out.push_str(&counts.join(", "));
        out.push('\n');
    }
    out
}

struct Paint {
    colour: bool,
}

impl Paint {
    fn in_colour(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("{colour}{text}{RESET}") } else { text.to_owned() }
    }

    fn problem(&self, out: &mut String, problem: &Problem) {
        let severity = match problem.severity {
            Severity::Warning => self.in_colour(YELLOW, "warning"),
            Severity::Error | Severity::Unready => self.in_colour(RED, "error"),
        };
        let place = problem.mark.as_ref().map(|mark| format!("{}: ", self.place(mark)));
        let path =
            if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
        let message = self.in_colour(BOLD, &one_line(&format!("{path}{}", problem.message)));
        line(out, &format!("{}{severity}: {message}", place.unwrap_or_default()));
        if let (Some(mark), Some(source)) = (&problem.mark, &problem.source) {
            self.snippet(out, mark, source);
        }
    }

    fn place(&self, mark: &Mark) -> String {
        self.in_colour(BOLD, &format!("{}:{}:{}", one_line(&mark.file), mark.line, mark.column))
    }

    fn snippet(&self, out: &mut String, mark: &Mark, source: &str) {
        let column = (mark.column as usize).saturating_sub(1);
        let skipped = match source.chars().count() {
            0..=SHOWN => 0,
            _ => column.saturating_sub(SHOWN / 2),
        };
        let shown: String = source.chars().skip(skipped).take(SHOWN).map(visible).collect();
        let before: String = shown.chars().take(column - skipped).collect();
        let caret = "^".repeat(token(shown.chars().skip(column - skipped)));
        let number = mark.line.to_string();
        let margin = " ".repeat(number.len());
        let bar = self.in_colour(BLUE, "|");
        line(out, &format!("{} {bar} {}", self.in_colour(BLUE, &number), shown.trim_end()));
        let padding = " ".repeat(before.chars().count());
        line(out, &format!("{margin} {bar} {padding}{}", self.in_colour(RED, &caret)));
    }
}

/// Says how many characters to underline: a word, or what stands in quotes; at least one.
fn token(rest: impl Iterator<Item = char>) -> usize {
    let rest: Vec<char> = rest.collect();
    let end = match rest.first() {
        Some(quote @ ('"' | '\'')) => {
            rest.iter().skip(1).position(|c| c == quote).map(|at| at + 2).unwrap_or(1)
        }
        Some('[' | '{') | None => 1,
        Some(_) => rest
            .iter()
            .enumerate()
            .position(|(at, c)| {
                let last = rest.get(at + 1).is_none_or(|next| next.is_whitespace());
                c.is_whitespace() || ",]}=".contains(*c) || (*c == ':' && last)
            })
            .unwrap_or(rest.len()),
    };
    end.max(1)
}

fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if steers(c) => '?',
        c => c,
    }
}

/// A terminal must not be steered by what a file holds.
fn one_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    writeln!(out, "{text}").unwrap_or_default();
}
