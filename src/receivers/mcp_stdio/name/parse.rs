//! Reads a command line, through its launchers, up to what is meant.

use std::ops::ControlFlow::{self, Break, Continue};

use super::launchers::{Kind, Launcher, Tells, Then};
use super::table;
use super::words::{
    address, file_name, is_archive, is_assignment, is_general, is_path, is_plain, is_relative,
    parent, project, split, stem, unnumbered, versionless,
};

/// How many launchers are looked through.
const MAX_DEPTH: usize = 8;

/// Images that are there for what is run in them, beside those called as a launcher.
const BASES: &[&str] = &[
    "alpine",
    "astral-sh/uv",
    "busybox",
    "debian",
    "denoland/deno",
    "fedora",
    "oven/bun",
    "ubuntu",
];
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

/// What was read so far.
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

impl Reading {
    /// What a command line means, if it is more than a general word.
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

    /// What a launcher starts.
    fn launched(&mut self, launcher: &Launcher, mut args: &[&str]) -> Option<String> {
        let (mut package, mut then, mut words, mut ended) = (None, None, String::new(), false);
        while let [arg, rest @ ..] = args {
            args = rest;
            if !ended && let Some((kind, value)) = option(launcher, arg) {
                let value = match (kind, value) {
                    (Kind::Flag, _) => continue,
                    (_, Some(value)) => value,
                    (_, None) => {
                        let (value, rest) = args.split_first()?;
                        args = rest;
                        value
                    }
                };
                if let Kind::Telling(tells) = kind
                    && let Break(meant) = self.told(tells, value, args, &mut package)
                {
                    return meant;
                }
                continue;
            }
            match *arg {
                "--" if then == Some(Then::Project) => break,
                "--" => ended = true,
                _ if then == Some(Then::Project) => {}
                option if option.starts_with('-') && !ended => {
                    // One that is not known may have a value, and that could be anything.
                    if !(option.starts_with("--") && option.contains('=')) {
                        return package;
                    }
                }
                word if then.is_none() && launcher.continues(&mut words, word) => {
                    then = launcher.after(&words);
                }
                word => match then.or_else(|| launcher.after(""))? {
                    Then::Project => then = Some(Then::Project),
                    then => return self.first(then, word, args, package),
                },
            }
        }
        self.here |= then == Some(Then::Project);
        package
    }

    /// What the value of an option tells; `rest` stands behind it. Breaks where the options end.
    fn told(
        &mut self,
        tells: Tells,
        value: &str,
        rest: &[&str],
        package: &mut Option<String>,
    ) -> ControlFlow<Option<String>> {
        match tells {
            // Where the code comes from, whatever the program in it is called.
            Tells::Package if value.contains("://") => {
                self.folder = self.folder.take().or_else(|| self.package(value));
            }
            Tells::Package if table::find(versionless(value)).is_some() => {}
            Tells::Package => *package = package.take().or_else(|| self.package(value)),
            Tells::Folder => self.project(value),
            Tells::File => self.file_of_project(value),
            Tells::Module => return Break(self.module(value, rest)),
            Tells::Script => return Break(self.script(value)),
            Tells::Address => return Break(address(value)),
            Tells::Line => return Break(self.line(value)),
            Tells::Rest => return Break(self.command(&[&[value], rest].concat())),
        }
        Continue(())
    }

    /// What stands first after a launcher's options, and what follows it.
    fn first(
        &mut self,
        then: Then,
        word: &str,
        rest: &[&str],
        package: Option<String>,
    ) -> Option<String> {
        match then {
            Then::Package => {
                let name = versionless(word);
                if table::find(name).is_some() {
                    return self.command(&[&[name], rest].concat()).or(package);
                }
                package.or_else(|| self.package(word))
            }
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
                self.command(&[&[word], rest].concat()).or(package)
            }
            Then::Project => package,
        }
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

    /// A package without registry, version and extras.
    fn package(&mut self, word: &str) -> Option<String> {
        if word.contains("://") {
            let url = word.split(['?', '#']).next()?;
            let last = file_name(url.split_once("://")?.1.split_once('/')?.1);
            let name = last.split('@').next()?;
            return self.specific(name.trim_end_matches(".git").trim_end_matches(".tgz"));
        }
        if is_path(word) && (word.starts_with(['.', '/', '~']) || !is_relative(word)) {
            return self.file(word);
        }
        let name = word.split_once(':').map_or(word, |(_, name)| name);
        let name = versionless(name);
        self.specific(if name.starts_with('@') { name } else { file_name(name) })
    }

    /// A script, which a runtime may fetch.
    fn script(&mut self, word: &str) -> Option<String> {
        if word.contains("://") {
            return address(word);
        }
        if let Some(package) = ["npm:", "jsr:"].iter().find_map(|from| word.strip_prefix(from)) {
            let package = package.trim_start_matches('/');
            let parts = if package.starts_with('@') { 2 } else { 1 };
            let name: Vec<_> = package.split('/').take(parts).collect();
            return self.package(&name.join("/"));
        }
        // `server.py:app` names an object in it.
        let object =
            |(path, object): &(&str, &str)| path.len() > 1 && !object.contains(['/', '\\']);
        let path = word.rsplit_once(':').filter(object).map_or(word, |(path, _)| path);
        self.here |= is_relative(path);
        self.file(path)
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

    /// `registry.example/owner/image:tag@digest` is `owner/image`.
    fn image(&mut self, reference: &str, rest: &[&str]) -> Option<String> {
        if reference.contains("://") {
            return None;
        }
        let undigested = reference.split('@').next()?;
        let registry = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let path = match undigested.split_once('/') {
            Some((first, path)) if registry(first) => path,
            _ => undigested,
        };
        let name = path.split(':').next()?;
        let base = table::find(name).is_some() || BASES.contains(&name);
        let meant = if base && !rest.is_empty() { self.command(rest) } else { self.specific(name) };
        // What the working directory is called says nothing about a container.
        self.here = false;
        meant
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

/// What an argument is to a launcher, and its value if that is part of it: `--name=value`, `-Cvalue`, and
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
