//! The digest key, made once and shared by all taps of a user.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// Bytes of a digest key.
pub(super) const KEY_BYTES: usize = 32;
/// The file's name.
pub(super) const NAME: &str = "digest.key";

/// The digest key's file, with a key made once. Several taps may start at the same time: the key is
/// written aside and then linked into place, so that all of them read the same whole key. An error says
/// that none could be written; a key that is there but is not ours alone is the inner one.
pub(super) fn digest_key(dir: &Path) -> io::Result<Result<PathBuf, String>> {
    let path = dir.join(NAME);
    if fs::symlink_metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        let aside = dir.join(format!("{NAME}.{:08x}", rand::random::<u32>()));
        let made = write_key(&aside).and_then(|()| match fs::hard_link(&aside, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
        drop(fs::remove_file(&aside));
        made?;
    }
    Ok(trusted(&path).map(|()| path.clone()).map_err(|why| {
        format!("{} {why}: digests are keyed for this process only", path.display())
    }))
}

/// Says whether the key can have come from nobody but the user. One that others may read is closed to them.
fn trusted(path: &Path) -> Result<(), String> {
    let found = fs::symlink_metadata(path).map_err(|error| format!("cannot be read ({error})"))?;
    if !found.is_file() {
        return Err("is a link or no file".to_owned());
    }
    if found.uid() != geteuid().as_raw() {
        return Err("belongs to another user".to_owned());
    }
    if found.mode() & 0o077 != 0 {
        let closed = fs::set_permissions(path, Permissions::from_mode(0o600));
        closed.map_err(|error| format!("cannot be closed to other users ({error})"))?;
    }
    Ok(())
}

fn write_key(path: &Path) -> io::Result<()> {
    let key: [u8; KEY_BYTES] = rand::random();
    let mut hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
    hex.push('\n');
    // Never a file that is there already, nor one behind a link.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(hex.as_bytes())?;
    file.sync_all()
}
