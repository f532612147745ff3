//! Finds what a server is called, from its command line.
//!
//! Launchers are looked through: `npx -y @scope/server ARG` is `@scope/server`, and so are
//! `cmd /c npx -y @scope/server` and `docker run node:22 npx -y @scope/server`. What is meant is a package,
//! a module, a script or a program; where that is but a general word (`index`, `server`), the folder of its
//! project; for a bridge to a remote server, the URL's host and path.
//!
//! An argument may hold a secret. So only the one that names what is meant is ever taken, and only if every
//! option before it is a known one; and nothing that looks like a token is a name.

mod launchers;
mod wrappers;
mod table;
mod words;
mod parse;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::Path;

use self::parse::Reading;
use crate::privacy::cut::cut;
use crate::receivers::tap::MAX_NAME;

/// Names a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerName {
    /// The name; empty only without a command.
    pub text: String,
    /// It is but a general word, or the launcher's name: what the server calls itself tells more.
    pub general: bool,
}

impl ServerName {
    /// A name that somebody chose.
    pub fn given(text: impl Into<String>) -> Self {
        ServerName { text: text.into(), general: false }
    }
}

/// The name of the server that `command` starts in the directory `cwd`.
pub(super) fn server_name(command: &[OsString], cwd: Option<&Path>) -> ServerName {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let mut reading = Reading::default();
    let meant = reading.command(&words);
    let cwd = cwd.and_then(Path::to_str).filter(|_| reading.here).and_then(words::project);
    let (text, general) = match (meant, reading.folder.or(cwd)) {
        (Some(name), _) => (name, false),
        (None, Some(folder)) => (folder, false),
        (None, None) => (reading.general, true),
    };
    ServerName { text: bounded(&text), general }
}

fn bounded(name: &str) -> String {
    let clean = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    cut(name, MAX_NAME, false).chars().map(clean).collect()
}
