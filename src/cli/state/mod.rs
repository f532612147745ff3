//! The state directory: where a tap without a configuration keeps its digest key and its spans.
//!
//! It is ours alone: owned by the process's user and closed to all others, or it is not used. So no
//! link that somebody else made can stand in it, and what is opened in it by path is what was put there
//! by this user.

mod key;
mod sockets;
mod retention;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, Mode, OFlags};
use rustix::process::geteuid;

pub(super) use retention::{Found, Limits, Pruned, clean, prune};
pub(super) use sockets::{SOCKET, sockets};

/// The environment and the user's account, as far as they say where state may be kept.
pub(super) struct Surroundings<'a> {
    /// A variable of the environment.
    pub(super) env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The home directory in the password database.
    pub(super) account_home: &'a dyn Fn() -> Option<PathBuf>,
}

/// A state directory that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Says where it is.
    pub(super) dir: PathBuf,
    /// The file of the digest key, where one was wanted and can be trusted.
    pub(super) key: Option<PathBuf>,
}

/// Says who may make entries beside the state directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// Only whom the user lets.
    User,
    /// Everybody.
    Everybody,
}

/// The state directory of this process; see [`open_in`].
pub(super) fn open(keyed: bool, notes: &mut Vec<String>) -> Option<State> {
    with_surroundings(|around| open_in(around, keyed, notes))
}

fn with_surroundings<T>(look: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let env = |name: &str| std::env::var_os(name);
    let account_home = || {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).ok()??;
        Some(user.dir)
    };
    look(&Surroundings { env: &env, account_home: &account_home })
}

/// The first of these that can be used, made if need be: `$XDG_STATE_HOME/mcpcol`,
/// `.local/state/mcpcol` below `$HOME` or below the home that the password database has, and
/// `mcpcol-<uid>` in the temporary directory. A home that does not exist is none. With `keyed` the
/// digest key is there, too. What could not be used is said in `notes`, in one line.
fn open_in(around: &Surroundings<'_>, keyed: bool, notes: &mut Vec<String>) -> Option<State> {
    let mut refused = None;
    for (dir, beside) in places(around) {
        match prepare(&dir, beside, keyed) {
            Ok(key) => {
                let instead = |why| format!("{why}; using {} instead", dir.display());
                notes.extend(refused.map(instead));
                let key = key.and_then(|key| key.inspect_err(|why| notes.push(why.clone())).ok());
                return Some(State { dir, key });
            }
            Err(error) => {
                refused.get_or_insert_with(|| format!("cannot use {}: {error}", dir.display()));
            }
        }
    }
    notes.extend(refused.map(|why| format!("{why}; there is no place for spans and keys")));
    None
}

/// Says where state may be kept, the best place first.
fn places(around: &Surroundings<'_>) -> Vec<(PathBuf, Beside)> {
    let absolute = |name| (around.env)(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let below_home = |home: PathBuf| home.is_dir().then(|| home.join(".local/state"));
    let below_account = || (around.account_home)().filter(|p| p.is_absolute()).and_then(below_home);
    let bases: [&dyn Fn() -> Option<PathBuf>; 3] =
        [&|| absolute("XDG_STATE_HOME"), &|| absolute("HOME").and_then(below_home), &below_account];
    let own = bases.iter().filter_map(|base| Some((base()?.join("mcpcol"), Beside::User)));
    let temporary = absolute("TMPDIR").unwrap_or_else(|| "/tmp".into());
    let shared = temporary.join(format!("mcpcol-{}", geteuid().as_raw()));
    own.chain([(shared, Beside::Everybody)]).collect()
}

/// Finds the state directory that a tap would use, as far as that can be seen without making it.
pub(super) fn expected() -> Option<PathBuf> {
    with_surroundings(expected_in)
}

fn expected_in(around: &Surroundings<'_>) -> Option<PathBuf> {
    places(around).into_iter().find(|(dir, beside)| would_do(dir, *beside)).map(|(dir, _)| dir)
}

/// Says whether the directory can be named in a configuration, which is text.
fn can_be_named(dir: &Path) -> io::Result<()> {
    dir.to_str().map(drop).ok_or_else(|| io::Error::other("its path is not UTF-8"))
}

fn would_do(dir: &Path, beside: Beside) -> bool {
    if can_be_named(dir).is_err() {
        return false;
    }
    let writable = |dir: &Path| rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if fs::symlink_metadata(dir).is_ok() {
        return inspect(dir, beside).is_ok() && writable(dir);
    }
    let above = || dir.ancestors().skip(1);
    let there = match beside {
        Beside::User => above().find(|dir| fs::symlink_metadata(dir).is_ok()),
        Beside::Everybody => above().next(),
    };
    there.is_some_and(|dir| dir.is_dir() && writable(dir))
}

/// The state directories that are there and are the user's: taps that could not use one use the next. Makes none.
pub(super) fn found() -> Vec<PathBuf> {
    with_surroundings(|around| {
        let mut found: Vec<PathBuf> = Vec::new();
        for (dir, _) in places(around) {
            let there = fs::metadata(&dir);
            let ours = there.is_ok_and(|there| there.is_dir() && there.uid() == geteuid().as_raw());
            if ours && !found.contains(&dir) {
                found.push(dir);
            }
        }
        found
    })
}

/// Makes the directory ready to be written to. An error says that it cannot be; a key that is there but
/// cannot be trusted is the inner one.
fn prepare(dir: &Path, beside: Beside, keyed: bool) -> io::Result<Option<Result<PathBuf, String>>> {
    can_be_named(dir)?;
    make_private(dir, beside)?;
    // A read-only file system, for one.
    rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK)?;
    if keyed { key::digest_key(dir).map(Some) } else { Ok(None) }
}

/// Makes the directory if it is absent, and makes sure that it is the user's and closed to others.
fn make_private(dir: &Path, beside: Beside) -> io::Result<()> {
    let everybody = beside == Beside::Everybody;
    match DirBuilder::new().recursive(!everybody).mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match inspect(dir, beside)? {
        Some(open) => open.set_permissions(Permissions::from_mode(0o700)),
        None => Ok(()),
    }
}

/// Names what this process has in the state directory. Two processes may have one number, in containers that share a
/// volume: chance tells them apart.
pub(super) fn unique_name(server: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let stem: String = server.chars().map(safe).take(64).collect();
    let (pid, chance) = (std::process::id(), rand::random::<u32>());
    format!("{stem}-{pid}-{chance:08x}")
}

/// Looks whether the directory is the user's and closed to others; gives it where it is yet to be closed. Where
/// everybody may have made it, nothing about it is to be mended: what is not as we would have made it is refused.
/// A link is followed only if the user made it, and what is behind it is left as it is: it may be anything.
fn inspect(dir: &Path, beside: Beside) -> io::Result<Option<File>> {
    let everybody = beside == Beside::Everybody;
    let linked = fs::symlink_metadata(dir)?;
    let is_link = linked.file_type().is_symlink();
    if is_link && (everybody || linked.uid() != geteuid().as_raw()) {
        return Err(io::Error::other("it is a link of another user"));
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let flags = if is_link { flags } else { flags | OFlags::NOFOLLOW };
    let opened = File::from(rustix::fs::open(dir, flags, Mode::empty())?);
    let found = opened.metadata()?;
    if found.uid() != geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if found.mode() & 0o077 == 0 {
        return Ok(None);
    }
    if everybody || (is_link && found.mode() & 0o022 != 0) {
        return Err(io::Error::other("it is open to other users"));
    }
    if is_link {
        return Ok(None);
    }
    Ok(Some(opened))
}

#[cfg(test)]
mod tests;
