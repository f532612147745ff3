//! Complaints about what flags say name the flag: nobody wrote the configuration that the flag's value stands in.

use super::{record, say};
use crate::settings::{Problem, Problems, Severity};

/// The flags of a command by the settings that they are, below their receiver, as `a::b`; the longest first.
pub(super) type Names = &'static [(&'static str, &'static str)];

/// Knows where what flags say stands in a configuration.
#[derive(Clone, Debug)]
pub(super) struct Flags {
    /// Paths, and the flags that say what stands at and below them.
    paths: Vec<(String, &'static str)>,
    /// Settings as messages quote them, and their flags.
    names: Names,
    place: Place,
}

/// Holds what is wrong with flags.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    lines: Vec<String>,
    /// Any of it forbids starting.
    pub(super) fatal: bool,
}

impl Complaints {
    /// Says them, a line each.
    pub(super) fn say(&self) {
        self.lines.iter().for_each(|line| say(&format!("mcpcol: {line}")));
    }
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the built-in configuration, which is an inline one.
    BuiltIn,
    /// In what `--set` has, from this line on.
    Set(u32),
}

impl Flags {
    /// Makes those of a built-in configuration with a receiver of that id.
    pub(super) fn built_in(id: &str, names: Names) -> Flags {
        Flags::at(Place::BuiltIn, id, names)
    }

    /// Makes those of a configuration with a receiver of that id, where they are to stand behind `set`, with those
    /// of the local record.
    pub(super) fn behind(set: &[String], id: &str, names: Names) -> Flags {
        let lines =
            set.iter().map(|argument| format!("{argument}\n").lines().count()).sum::<usize>();
        let first = u32::try_from(lines).map_or(u32::MAX, |lines| lines.saturating_add(1));
        Flags::at(Place::Set(first), id, names).and(&record::PLACES, record::FLAG)
    }

    fn at(place: Place, id: &str, names: Names) -> Flags {
        let below = |(setting, flag): &(&str, _)| (format!("receivers::{id}::{setting}"), *flag);
        Flags { paths: names.iter().map(below).collect(), names, place }
    }

    /// Adds one that says what stands at and below these paths.
    pub(super) fn and(mut self, paths: &[&str], flag: &'static str) -> Flags {
        self.paths.extend(paths.iter().map(|path| ((*path).to_owned(), flag)));
        self
    }

    /// Takes what is wrong with flags out of `problems`.
    pub(super) fn take(&self, problems: &mut Problems) -> Complaints {
        let mut taken = Complaints::default();
        problems.0.retain(|problem| {
            let Some(line) = self.line(problem) else { return true };
            if !taken.lines.contains(&line) {
                taken.lines.push(line);
            }
            taken.fatal |= problem.severity > Severity::Warning;
            false
        });
        taken
    }

    /// Returns the problem as one of a flag, if it is that.
    fn line(&self, problem: &Problem) -> Option<String> {
        let mark = problem.mark.as_ref()?;
        let ours = match self.place {
            Place::BuiltIn => mark.file.starts_with("yaml:"),
            Place::Set(first) => &*mark.file == "--set" && mark.line >= first,
        };
        let is_at_or_below = |path: &str| {
            let rest = problem.path.strip_prefix(path);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let (_, flag) = self.paths.iter().find(|(path, _)| ours && is_at_or_below(path))?;
        let mut message = problem.message.clone();
        for (setting, flag) in self.names {
            message = message.replace(&format!("`{setting}`"), &format!("`{flag}`"));
        }
        Some(format!("{flag}: {message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Mark;

    const NAMES: Names = &[
        ("routes::0::name", "--name"),
        ("routes", "--upstream"),
        ("endpoint", "--listen"),
        ("allowed_hosts", "--allowed-host"),
    ];

    fn line(flags: &Flags, file: &str, line: u32, path: &str, message: &str) -> Option<String> {
        let mut problems = Problems::default();
        problems.error(&Mark { file: file.into(), line, column: 1 }, path, message);
        flags.line(&problems.0[0])
    }

    #[test]
    fn what_a_flag_said_is_told_of_the_flag() {
        let flags = Flags::built_in("mcp_http", NAMES);
        let of = |path: &str| line(&flags, "yaml:", 1, path, "is odd: say in `allowed_hosts`");
        let said = |flag: &str| Some(format!("{flag}: is odd: say in `--allowed-host`"));
        assert_eq!(of("receivers::mcp_http::endpoint"), said("--listen"));
        assert_eq!(of("receivers::mcp_http::routes::0::name"), said("--name"));
        assert_eq!(of("receivers::mcp_http::routes::0::upstream"), said("--upstream"));
        for other in ["receivers::mcp_http::endpoints", "exporters::otlp_http::endpoint", ""] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(line(&flags, "--set", 1, "receivers::mcp_http::endpoint", "is odd"), None);
    }

    #[test]
    fn what_the_user_set_before_is_the_users() {
        let set = ["a=1\nb".to_owned(), "c=2".to_owned()];
        let flags = Flags::behind(&set, "mcp_http/x", NAMES);
        let at = |file: &str, n| line(&flags, file, n, "receivers::mcp_http/x::endpoint", "is odd");
        assert_eq!(at("--set", 3), None);
        assert_eq!(at("--set", 4).as_deref(), Some("--listen: is odd"));
        assert_eq!(at("config.yaml", 4), None);
        let path = "exporters::file/local_record::path";
        assert_eq!(line(&flags, "--set", 4, path, "is odd").as_deref(), Some("--record: is odd"));
        let flags = Flags::built_in("mcp_http", NAMES).and(&["exporters::file"], "--record");
        let at = |path: &str| line(&flags, "yaml:", 1, path, "is odd");
        assert_eq!(at("exporters::file::path").as_deref(), Some("--record: is odd"));
        assert_eq!(at("exporters::file/logs::path"), None);
    }
}
