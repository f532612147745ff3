//! The state directory: where `mcpcol stdio` without a config keeps its digest key and its spans.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};

/// Span files of taps that are gone are kept this long.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3600);
/// Bytes of a digest key.
const KEY_BYTES: usize = 32;

/// `$XDG_STATE_HOME/mcpcol`, else `~/.local/state/mcpcol`; made if need be, for the user alone.
pub(super) fn directory() -> anyhow::Result<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
        (Some(state), _) => state,
        (None, Some(home)) => home.join(".local/state"),
        (None, None) => bail!("no state directory: set XDG_STATE_HOME or HOME"),
    };
    let dir = base.join("mcpcol");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&dir)
        .with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// The digest key's file, with a key made once. Several taps may start at the same time: the key is
/// written aside and then linked into place, so that all of them read the same whole key.
pub(super) fn digest_key(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = dir.join("digest.key");
    if path.exists() {
        return Ok(path);
    }
    let aside = dir.join(format!("digest.key.{}", std::process::id()));
    let made = write_key(&aside).and_then(|()| match fs::hard_link(&aside, &path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    });
    drop(fs::remove_file(&aside));
    made.with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn write_key(path: &Path) -> io::Result<()> {
    let key: [u8; KEY_BYTES] = rand::random();
    let mut hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
    hex.push('\n');
    let mut file: File =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(hex.as_bytes())?;
    file.sync_all()
}

/// Whether a tap gave the file its name: `<server>-<pid>.jsonl`, or `.1` behind it.
fn is_span_file(name: &str) -> bool {
    let stem = name.strip_suffix(".1").unwrap_or(name).strip_suffix(".jsonl");
    let pid = stem.and_then(|stem| stem.rsplit_once('-')).map(|(_, pid)| pid);
    pid.is_some_and(|pid| !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()))
}

/// Removes span files that nobody wrote to for a week. What cannot be removed stays.
pub(super) fn clean(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let spans = name.to_str().is_some_and(is_span_file);
        let modified = entry.metadata().and_then(|m| m.modified());
        let old =
            modified.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|d| d > KEEP));
        if spans && old {
            drop(fs::remove_file(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_key_is_made_once_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = digest_key(dir.path()).unwrap();
        let key = fs::read_to_string(&path).unwrap();
        assert_eq!(key.trim().len(), 2 * KEY_BYTES);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(digest_key(dir.path()).unwrap(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), key);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn only_old_span_files_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - KEEP - Duration::from_secs(60);
        for (name, at) in
            [("a-1.jsonl", old), ("a-1.jsonl.1", old), ("digest.key", old), ("mine.jsonl", old)]
        {
            let file = File::create(dir.path().join(name)).unwrap();
            file.set_modified(at).unwrap();
        }
        File::create(dir.path().join("b-2.jsonl")).unwrap();
        clean(dir.path());
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["b-2.jsonl", "digest.key", "mine.jsonl"]);
    }
}
