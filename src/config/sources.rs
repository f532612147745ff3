//! What `--config` and `--set` name, read and merged. Expands nothing.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::merge::{merge, unfold, within};
use crate::settings::{
    Budget, MAX_DEPTH, Mark, Node, Origin, Problems, Value, read_file, sounds_secret,
    without_credentials,
};

/// The longest text that is read from a file.
const MAX_FILE: u64 = 1 << 20;

/// The most `--config` and `--set` arguments, each kind.
const MAX_SOURCES: usize = 100;

/// Names what overrides are called in marks.
const SET: &str = "--set";

/// Holds what the user gave on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Paths, `file:path`, `env:NAME` or `yaml:text`, merged from left to right.
    pub config: Vec<String>,
    /// `a::b=value` or `a.b=value`, applied last. The value is YAML.
    pub set: Vec<String>,
}

impl Sources {
    /// Names the files among them, in their order.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let elsewhere =
            |source: &&String| source.starts_with("yaml:") || source.starts_with("env:");
        let files = self.config.iter().filter(move |source| !elsewhere(source));
        files.map(|source| PathBuf::from(source.strip_prefix("file:").unwrap_or(source)))
    }
}

/// Holds what the sources hold.
pub(super) struct Gathered {
    /// The merged tree; nothing if a source could not be read.
    pub(super) root: Option<Node>,
    /// The directory of the first file; the current one if there is none.
    pub(super) base: PathBuf,
    /// Holds what is left for references.
    pub(super) budget: Budget,
    texts: Vec<(Arc<str>, String)>,
}

/// Reads and merges; `env` is where `env:NAME` is looked up.
pub(super) fn gather(
    sources: &Sources,
    env: &dyn Fn(&str) -> Option<OsString>,
    problems: &mut Problems,
) -> Gathered {
    let mut gathered = Gathered {
        root: None,
        base: base_of(sources),
        budget: Budget::default(),
        texts: Vec::new(),
    };
    if sources.config.is_empty() {
        problems.unplaced("", "no configuration: name a file with --config");
        return gathered;
    }
    if sources.config.len().max(sources.set.len()) > MAX_SOURCES {
        problems.unplaced("", format!("more than {MAX_SOURCES} --config or --set arguments"));
        return gathered;
    }
    let mut nodes: Vec<Option<Node>> = Vec::new();
    for source in &sources.config {
        nodes.push(gathered.read(source, env, problems));
    }
    nodes.extend(gathered.overrides(&sources.set, problems));
    let nodes: Option<Vec<Node>> = nodes.into_iter().collect();
    gathered.root = nodes.and_then(|nodes| {
        nodes.into_iter().reduce(|mut root, node| {
            // A file that holds nothing changes nothing.
            if !matches!(node.value, Value::Null) {
                merge(&mut root, node);
            }
            root
        })
    });
    gathered
}

/// The directory of the first source that is a file.
fn base_of(sources: &Sources) -> PathBuf {
    match sources.files().next().as_deref().and_then(Path::parent) {
        Some(dir) if dir != Path::new("") => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

impl Gathered {
    fn read(
        &mut self,
        source: &str,
        env: &dyn Fn(&str) -> Option<OsString>,
        problems: &mut Problems,
    ) -> Option<Node> {
        let (name, text) = match self.text_of(source, env) {
            Ok(read) => read,
            Err(message) => {
                problems.unplaced(label(source), message);
                return None;
            }
        };
        let node = Node::parse_within(&text, &Origin::file(&name), &mut self.budget, problems);
        self.texts.push((Arc::from(name.as_str()), text));
        let node = node?;
        if matches!(node.value, Value::Map(_) | Value::Null) {
            return Some(unfold(node, problems));
        }
        let message = "a configuration is a mapping: `receivers:`, `exporters:`, `service:`";
        problems.error(&node.mark, "", message);
        None
    }

    /// A source's name in messages, and its text.
    fn text_of(
        &self,
        source: &str,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<(String, String), String> {
        if let Some(text) = source.strip_prefix("yaml:") {
            let number = self.texts.iter().filter(|(name, _)| name.starts_with("yaml:")).count();
            let name = if number == 0 { "yaml:".into() } else { format!("yaml:{}", number + 1) };
            return Ok((name, text.to_owned()));
        }
        if source.starts_with("http:") || source.starts_with("https:") {
            return Err("configurations are not fetched; give a file".into());
        }
        if let Some(name) = source.strip_prefix("env:") {
            let value = env(name).ok_or("the environment variable is not set")?;
            let text = value.into_string().map_err(|_| "is not UTF-8 text")?;
            return Ok((source.to_owned(), text));
        }
        let path = Path::new(source.strip_prefix("file:").unwrap_or(source));
        let text = read_text(path)?;
        Ok((path.display().to_string(), text))
    }

    /// Each `--set` is a line of a text of its own.
    fn overrides(&mut self, set: &[String], problems: &mut Problems) -> Vec<Option<Node>> {
        let file: Arc<str> = Arc::from(SET);
        let mut text = String::new();
        let mut nodes = Vec::new();
        for argument in set {
            let line = text.lines().count() as u32 + 1;
            let mark = Mark { file: Arc::clone(&file), line, column: 1 };
            nodes.push(override_of(argument, &mark, &mut self.budget, problems));
            text.push_str(argument);
            text.push('\n');
        }
        self.texts.push((file, text));
        nodes
    }

    /// The line at a mark, unless something on it or above it sounds secret.
    pub(super) fn shown_line(&self, mark: &Mark) -> Option<String> {
        let (_, text) = self.texts.iter().find(|(name, _)| *name == mark.file)?;
        let lines: Vec<&str> = text.lines().take(mark.line as usize).collect();
        let line = *lines.get((mark.line as usize).checked_sub(1)?)?;
        let looks_secret = matches!(without_credentials(line), Cow::Owned(_));
        (!looks_secret && !hides(&lines)).then(|| line.to_owned())
    }
}

/// Says whether a URL in it has a user or a password.
fn has_userinfo(line: &str) -> bool {
    line.match_indices("://").any(|(at, _)| {
        let authority = line[at + 3..].split(['/', '"', '\'', ' ', ',']).next();
        authority.is_some_and(|authority| authority.contains('@'))
    })
}

/// Says whether the last line, or a line that it is indented below, has a word that sounds secret.
fn hides(lines: &[&str]) -> bool {
    let mut indent = usize::MAX;
    for line in lines.iter().rev() {
        let own = line.len() - line.trim_start_matches([' ', '-']).len();
        if line.trim().is_empty() || own >= indent {
            continue;
        }
        indent = own;
        let word = |c: char| !(c.is_alphanumeric() || c == '_' || c == '-');
        // `${env:X}` names a variable, not a value.
        if line.replace("${env:", "${").split(word).any(sounds_secret) || has_userinfo(line) {
            return true;
        }
    }
    false
}

/// A source as messages name it: never the text of an inline one.
fn label(source: &str) -> &str {
    if source.starts_with("yaml:") { "yaml:" } else { source }
}

/// Reads a text file of bounded size.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}");
    let bytes = read_file(path, MAX_FILE).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("is bigger than {} KiB", MAX_FILE >> 10));
    }
    String::from_utf8(bytes)
        .map_err(|e| format!("is not UTF-8 text (byte {})", e.utf8_error().valid_up_to()))
}

/// `a::b=value` as the mapping that it stands for.
fn override_of(
    argument: &str,
    start: &Mark,
    budget: &mut Budget,
    problems: &mut Problems,
) -> Option<Node> {
    let at = |column: usize| Mark { column: start.column + column as u32, ..start.clone() };
    let (path, value) = argument.split_once('=').unwrap_or(("", argument));
    let separator = if path.contains("::") { "::" } else { "." };
    let steps: Vec<&str> = path.split(separator).collect();
    if steps.iter().any(|name| name.trim().is_empty()) || steps.len() > MAX_DEPTH {
        problems.error(start, "", "write --set path::to::key=value");
        return None;
    }
    let origin = Origin::From(at(path.chars().count() + 1));
    let value = Node::parse_within(value, &origin, budget, problems)?;
    let mut column = path.chars().count();
    Some(steps.into_iter().rev().fold(value, |node, name| {
        column -= name.chars().count();
        let mark = at(column);
        column = column.saturating_sub(separator.len());
        within(mark, name.trim(), node)
    }))
}
