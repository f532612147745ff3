//! Finds the configuration that was not named on the command line: `MCPCOL_CONFIG`, else the user's file, else the
//! machine's. Never one of the working directory: that may be anybody's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::say;
use crate::config::{Sources, count_receivers};

/// Names a configuration where none is named on the command line.
const VARIABLE: &str = "MCPCOL_CONFIG";
/// The user's file, below the base directory of configurations.
const OF_USER: &str = "mcpcol/config.yaml";
/// The machine's file.
const OF_MACHINE: &str = "/etc/mcpcol/config.yaml";

/// Says who named a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `--config`, or an argument.
    CommandLine,
    /// `MCPCOL_CONFIG`.
    Variable,
    /// Nobody: the file was there.
    Found,
    /// Nobody, and there is none: `stdio` and `http` have one built in.
    Nowhere,
}

/// Holds a configuration and where it is from.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    /// Lists the sources to load; without `config` nothing was found.
    pub(super) sources: Sources,
    /// Says who named them.
    pub(super) origin: Origin,
}

/// Chooses the configuration: the sources that were named on the command line, unless there are none.
pub(super) fn choose(named: Vec<String>, set: Vec<String>) -> Chosen {
    let (config, origin) = first(named, &|name| std::env::var_os(name), Path::new(OF_MACHINE));
    Chosen { sources: Sources { config, set }, origin }
}

/// An empty source, such as an unset variable of a shell leaves, is none.
fn first(
    named: Vec<String>,
    env: &dyn Fn(&str) -> Option<OsString>,
    of_machine: &Path,
) -> (Vec<String>, Origin) {
    let named: Vec<String> = named.into_iter().filter(|source| !source.is_empty()).collect();
    if !named.is_empty() {
        return (named, Origin::CommandLine);
    }
    if let Some(source) = env(VARIABLE).filter(|source| !source.is_empty()) {
        return (vec![source.to_string_lossy().into_owned()], Origin::Variable);
    }
    let places = places(env, of_machine);
    // A directory of that name is no configuration.
    let found = places.into_iter().find(|path| path.metadata().is_ok_and(|there| !there.is_dir()));
    match found.map(|path| path.into_os_string().into_string()) {
        Some(Ok(path)) => (vec![path], Origin::Found),
        Some(Err(path)) => {
            say(&format!("mcpcol: {} is not used: its path is not UTF-8", path.display()));
            (Vec::new(), Origin::Nowhere)
        }
        None => (Vec::new(), Origin::Nowhere),
    }
}

/// Lists where a configuration may lie, the first choice first (XDG Base Directory Specification: what is not
/// absolute counts as unset).
fn places(env: &dyn Fn(&str) -> Option<OsString>, of_machine: &Path) -> Vec<PathBuf> {
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    base.map(|base| base.join(OF_USER)).into_iter().chain([of_machine.to_owned()]).collect()
}

impl Chosen {
    /// Returns what a tap of that kind runs: without `config` what is built in. A file that was found, and not named,
    /// and that has not just one receiver of the kind is not meant for it; that is said.
    pub(super) fn for_tap(self, kind: &str) -> Sources {
        let mut sources = self.sources;
        if self.origin != Origin::Found {
            return sources;
        }
        let count = count_receivers(&sources, kind).filter(|count| *count != 1);
        if let Some(count) = count {
            let has = if count == 0 { "no".to_owned() } else { format!("{count}") };
            let s = if count == 0 { "" } else { "s" };
            let file = sources.config.join(", ");
            say(&format!(
                "mcpcol: {file} is not used: it has {has} {kind} receiver{s} in its pipelines"
            ));
            sources.config.clear();
        }
        sources
    }

    /// Says in a few words where the configuration is from, or that there is none. The text of an inline one is not shown.
    pub(super) fn told(&self) -> String {
        let label = |source: &String| match source.starts_with("yaml:") {
            true => "yaml:".to_owned(),
            false => source.clone(),
        };
        let config: Vec<String> = self.sources.config.iter().map(label).collect();
        let config = config.join(", ");
        let also = match self.sources.set.len() {
            0 => "",
            _ => ", with --set on top",
        };
        match self.origin {
            Origin::CommandLine => {
                format!("configuration from {config}, named on the command line{also}")
            }
            Origin::Variable => format!("configuration from {config}, named by {VARIABLE}{also}"),
            Origin::Found => format!("configuration from {config}, found there{also}"),
            Origin::Nowhere => {
                let places = places(&|name| std::env::var_os(name), Path::new(OF_MACHINE));
                let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
                format!(
                    "no configuration is named by --config or {VARIABLE}, and there is no {}: `mcpcol stdio` and `mcpcol http` use \
                     what is built in",
                    places.join(" and no ")
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn the_first_that_is_there_is_chosen_and_none_of_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path).display().to_string();
        let machine = dir.path().join("etc/config.yaml");
        let variables = [
            (VARIABLE, "named.yaml".to_owned()),
            ("XDG_CONFIG_HOME", at("xdg")),
            ("HOME", at("home")),
        ];
        for file in ["xdg/mcpcol/config.yaml", "home/.config/mcpcol/config.yaml", "etc/config.yaml"]
        {
            let file = dir.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        let with = |named: &[&str], from: usize, machine: &Path| {
            let env = |name: &str| {
                let known = variables[from..].iter().find(|(known, _)| *known == name);
                known.map(|(_, value)| value.into())
            };
            first(named.iter().map(ToString::to_string).collect(), &env, machine)
        };
        let found = |path: &str| (vec![at(path)], Origin::Found);
        let named = vec!["a.yaml".to_owned(), "b.yaml".to_owned()];
        assert_eq!(with(&["a.yaml", "b.yaml"], 0, &machine), (named, Origin::CommandLine));
        let variable = (vec!["named.yaml".to_owned()], Origin::Variable);
        assert_eq!(with(&[""], 0, &machine), variable, "an empty one is none");
        assert_eq!(with(&[], 1, &machine), found("xdg/mcpcol/config.yaml"));
        assert_eq!(with(&[], 2, &machine), found("home/.config/mcpcol/config.yaml"));
        assert_eq!(with(&[], 3, &machine), found("etc/config.yaml"));
        assert_eq!(with(&[], 3, Path::new("/no/config.yaml")), (Vec::new(), Origin::Nowhere));
    }

    #[test]
    fn a_file_whose_path_is_not_utf_8_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join(OsString::from_vec(b"\xff".to_vec()));
        fs::create_dir_all(base.join("mcpcol")).unwrap();
        fs::write(base.join(OF_USER), "").unwrap();
        let env = |name: &str| (name == "XDG_CONFIG_HOME").then(|| base.clone().into());
        let chosen = first(Vec::new(), &env, Path::new("/no/config.yaml"));
        assert_eq!(chosen, (Vec::new(), Origin::Nowhere));
    }

    #[test]
    fn what_is_empty_or_relative_or_a_directory_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        fs::create_dir_all(home.join(".config/mcpcol/config.yaml")).unwrap();
        for base in ["", "relative"] {
            let env = |name: &str| match name {
                VARIABLE => Some(OsString::new()),
                "XDG_CONFIG_HOME" => Some(base.into()),
                "HOME" => Some(home.clone().into()),
                _ => None,
            };
            assert_eq!(places(&env, Path::new("/m"))[0], home.join(".config").join(OF_USER));
            assert_eq!(first(vec![], &env, Path::new("/no")), (Vec::new(), Origin::Nowhere));
        }
        assert_eq!(places(&|_| None, Path::new("/m")), [Path::new("/m")]);
    }
}
