//! Reads a command line, through its launchers, up to what is meant.

mod sources;

use std::ops::ControlFlow::{self, Break, Continue};

use super::launchers::{Kind, Launcher, Tells, Then};
use super::table;
use super::words::{
    address, file_name, is_archive, is_assignment, is_general, is_path, is_plain, is_relative,
    parent, project, split, stem, unnumbered, versionless,
};

/// Says how many launchers are looked through.
const MAX_DEPTH: usize = 8;

/// Words of shells that start no server.
const BUILTINS: &[&str] = &[
    ".", "call", "do", "done", "echo", "exit", "export", "fi", "for", "if", "printf", "read",
    "set", "source", "test", "then", "trap", "true", "ulimit", "umask", "while", "[",
];
/// Endings of files that describe a project.
const DESCRIPTIONS: &[&str] = &[
    ".csproj", ".fsproj", ".gradle", ".json", ".kts", ".toml", ".vbproj", ".xml", ".yaml", ".yml",
    "file",
];

/// Holds what was read so far.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// The project's folder, as options and paths tell it.
    pub(super) folder: Option<String>,
    /// The project is in the working directory.
    pub(super) here: bool,
    /// The last word that says something, though not which server it is.
    pub(super) general: String,
    depth: usize,
}

/// A launcher's arguments, as far as they were read.
struct Walk<'a> {
    launcher: &'a Launcher,
    /// The rest.
    args: &'a [&'a str],
    /// The package that an option named.
    package: Option<String>,
    /// Follows the subcommand.
    then: Option<Then>,
    /// The subcommand so far.
    words: String,
    /// `--` ended the options.
    ended: bool,
}

impl<'a> Walk<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }
}

impl Reading {
    /// Says what a command line means, if it is more than a general word.
    pub(super) fn command(&mut self, words: &[&str]) -> Option<String> {
        let start = words.iter().position(|word| *word != "--" && !is_assignment(word))?;
        let (first, args) = words[start..].split_first()?;
        if first.contains("://") {
            return address(first);
        }
        if first.starts_with('-') {
            return None;
        }
        if self.depth > 0 && args.is_empty() && first.contains(' ') {
            return self.line(first);
        }
        self.depth += 1;
        let Some(launcher) = table::find(&program(first)).filter(|_| self.depth < MAX_DEPTH) else {
            if self.general.is_empty() {
                self.general = file_name(first).to_owned();
            }
            return self.file(first);
        };
        self.general = stem(first).to_owned();
        if let Some(at) = [".venv", "venv"].iter().find_map(|venv| first.find(&format!("/{venv}/")))
        {
            self.folder = self.folder.take().or_else(|| project(&first[..at]));
        }
        self.launched(launcher, args)
    }

    /// Reads what a launcher starts.
    fn launched(&mut self, launcher: &Launcher, args: &[&str]) -> Option<String> {
        let mut walk =
            Walk { launcher, args, package: None, then: None, words: String::new(), ended: false };
        while let Some(arg) = walk.next() {
            let read = match option(launcher, arg).filter(|_| !walk.ended) {
                Some(option) => self.option(option, &mut walk),
                None => self.word(arg, &mut walk),
            };
            if let Break(meant) = read {
                return meant;
            }
        }
        self.here |= matches!(walk.then, Some(Then::Project | Then::Part));
        walk.package
    }

    /// Reads an option that is known. Breaks where the options end.
    fn option(
        &mut self,
        (kind, value): (Kind, Option<&str>),
        walk: &mut Walk<'_>,
    ) -> ControlFlow<Option<String>> {
        if kind == Kind::Flag {
            return Continue(());
        }
        let Some(value) = value.or_else(|| walk.next()) else { return Break(None) };
        match kind {
            Kind::Flag | Kind::Valued => Continue(()),
            Kind::Telling(tells) => self.told(tells, value, walk),
        }
    }

    /// Reads what is no known option. Breaks where nothing more is to be read.
    fn word(&mut self, arg: &str, walk: &mut Walk<'_>) -> ControlFlow<Option<String>> {
        let skips = matches!(walk.then, Some(Then::Project | Then::Behind));
        match arg {
            "--" if walk.then == Some(Then::Project) => walk.args = &[],
            "--" if skips => return Break(self.command(walk.args)),
            "--" => walk.ended = true,
            _ if skips => {}
            option if option.starts_with('-') && !walk.ended => {
                // One that is not known may have a value, and that could be anything.
                if !(option.starts_with("--") && option.contains('=')) {
                    return Break(walk.package.take());
                }
            }
            word if walk.then.is_none() && walk.launcher.continues(&mut walk.words, word) => {
                walk.then = walk.launcher.after(&walk.words);
            }
            word => match walk.then.or_else(|| walk.launcher.after("")) {
                then @ Some(Then::Project | Then::Behind) => walk.then = then,
                Some(then) => {
                    return Break(self.first(then, word, walk.args, walk.package.take()));
                }
                None => return Break(None),
            },
        }
        Continue(())
    }

    /// Reads what the value of an option tells. Breaks where the options end.
    fn told(
        &mut self,
        tells: Tells,
        value: &str,
        walk: &mut Walk<'_>,
    ) -> ControlFlow<Option<String>> {
        match tells {
            // Where the code comes from, whatever the program in it is called.
            Tells::Package if value.contains("://") => {
                self.folder = self.folder.take().or_else(|| self.package(value));
            }
            Tells::Package if table::find(versionless(value)).is_some() => {}
            Tells::Package => walk.package = walk.package.take().or_else(|| self.package(value)),
            Tells::Folder => self.project(value),
            Tells::File => self.file_of_project(value),
            Tells::Module => return Break(self.module(value, walk.args)),
            Tells::Script => return Break(self.script(value)),
            Tells::Address => return Break(address(value)),
            Tells::Line => return Break(self.line(value)),
            Tells::Rest => return Break(self.command(&[&[value], walk.args].concat())),
            Tells::Runner => {
                if let Some(meant) = self.line(value) {
                    return Break(Some(meant));
                }
            }
            Tells::Two => return walk.next().map_or(Break(None), |_| Continue(())),
        }
        Continue(())
    }

    /// Reads what stands first after a launcher's options, and what follows it.
    fn first(
        &mut self,
        then: Then,
        word: &str,
        rest: &[&str],
        package: Option<String>,
    ) -> Option<String> {
        match then {
            Then::Package => self.packaged(word, rest, package),
            Then::Script => self.script(word),
            Then::Module => self.module(word, rest),
            Then::Image => self.image(word, rest),
            Then::Name => self.specific(file_name(word)),
            Then::Command(skip) => {
                let all = [&[word], rest].concat();
                self.command(all.get(skip..)?).or(package)
            }
            Then::Remote(skip) => {
                let all = [&[word], rest].concat();
                let meant = self.command(all.get(skip..)?);
                self.here = false;
                meant
            }
            Then::Within => {
                self.here = true;
                // `hatch run ENVIRONMENT:COMMAND`.
                let plain = !word.contains(['/', '\\']);
                let word = word.rsplit_once(':').filter(|_| plain).map_or(word, |(_, word)| word);
                self.command(&[&[word], rest].concat()).or(package)
            }
            Then::Part => {
                self.here = true;
                self.specific(word)
            }
            Then::Flake => self.flake(word, rest),
            Then::Project | Then::Behind => package,
        }
    }

    /// Reads a program that a package brings, which may be a launcher itself.
    fn packaged(&mut self, word: &str, rest: &[&str], package: Option<String>) -> Option<String> {
        let name = versionless(word);
        if table::find(name).is_none() {
            return package.or_else(|| self.package(word));
        }
        let meant = self.command(&[&[name], rest].concat());
        // Beside a script of the project's, packages are but tools.
        let placed = self.here || self.folder.is_some();
        meant.or_else(|| package.filter(|_| !placed))
    }

    /// A name, unless it is but a general word.
    fn specific(&mut self, name: &str) -> Option<String> {
        if !is_plain(name) {
            return None;
        }
        if is_general(name) {
            self.general = name.to_owned();
            return None;
        }
        Some(name.to_owned())
    }

    /// A script or program at `path`.
    fn file(&mut self, path: &str) -> Option<String> {
        if let Some((_, module)) = path.replace('\\', "/").rsplit_once("node_modules/") {
            let module = module.trim_start_matches(".bin/");
            let parts = if module.starts_with('@') { 2 } else { 1 };
            let name: Vec<_> = module.split('/').take(parts).collect();
            let name = name.join("/");
            return self.specific(if name.starts_with('@') { &name } else { stem(&name) });
        }
        let name = stem(path);
        let name = name.find('@').filter(|at| *at > 0).map_or(name, |at| &name[..at]);
        let name = if is_archive(path) { unnumbered(name) } else { name };
        if name.chars().all(|c| c == '.') {
            self.here = true;
            return None;
        }
        let specific = self.specific(name);
        if specific.is_none() {
            self.folder = self.folder.take().or_else(|| project(parent(path)));
            self.here |= is_path(path) && is_relative(path);
        }
        specific
    }

    /// A module or class, which may be a launcher itself.
    fn module(&mut self, word: &str, rest: &[&str]) -> Option<String> {
        if table::find(word).is_some() {
            return self.command(&[&[word], rest].concat());
        }
        if is_path(word) {
            return None;
        }
        if word.split('.').all(is_general) {
            self.here = true;
            return self.specific(word.split('.').next()?);
        }
        self.specific(word)
    }

    /// A command line as text.
    fn line(&mut self, text: &str) -> Option<String> {
        let words = split(text);
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        for command in words.split(|word| ["&&", "||", ";", "|", "&"].contains(word)) {
            match command {
                ["cd" | "pushd", folder, ..] => self.project(folder),
                [] => {}
                [first, ..] if BUILTINS.contains(first) => {}
                command => return self.command(command),
            }
        }
        None
    }

    /// The folder that an option names.
    fn project(&mut self, folder: &str) {
        match project(folder) {
            Some(name) => self.folder = Some(name),
            None => self.here |= is_relative(folder),
        }
    }

    /// The folder of a file that an option names, or what the file is called if it is named after its
    /// project.
    fn file_of_project(&mut self, file: &str) {
        let name = stem(file);
        if !DESCRIPTIONS.iter().any(|ending| file_name(file).ends_with(ending)) {
            return self.project(file);
        }
        if name != file_name(file) && !is_general(name) && is_plain(name) {
            self.folder = Some(name.to_owned());
        } else {
            self.project(parent(file));
        }
    }
}

/// Says what an argument is to a launcher, and its value if that is part of it: `--name=value`, `-Cvalue`, and
/// the last of several letters (`-lc`).
fn option<'a>(launcher: &Launcher, arg: &'a str) -> Option<(Kind, Option<&'a str>)> {
    if let Some(kind) = launcher.option(arg) {
        return Some((kind, None));
    }
    if let Some((name, value)) = arg.split_once('=')
        && let Some(kind) = launcher.option(name)
    {
        return Some((kind, Some(value)));
    }
    let letters = arg.strip_prefix('-').filter(|l| l.len() > 1 && !l.starts_with('-'))?;
    let mut kind = Kind::Flag;
    for (at, letter) in letters.char_indices() {
        kind = launcher.option(&format!("-{letter}"))?;
        let value = &letters[at + letter.len_utf8()..];
        if kind != Kind::Flag && !value.is_empty() {
            return Some((kind, Some(value)));
        }
    }
    Some((kind, None))
}

/// The file name of a program as it stands in the table: `C:\...\Python312\python3.12.exe` is `python`.
fn program(path: &str) -> String {
    let name = if path.starts_with('@') { path } else { file_name(path) };
    let lower = name.to_ascii_lowercase();
    let ending = [".exe", ".cmd", ".bat", ".ps1"].iter().find_map(|end| lower.strip_suffix(end));
    let name = ending.unwrap_or(&lower);
    if table::find(name).is_some() {
        return name.to_owned();
    }
    name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.').to_owned()
}
