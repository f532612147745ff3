//! Where keys come from: written in the settings, or in a file of their own.
//!
//! A key that is written but empty (an unset variable, an empty file) is an error in every spelling:
//! falling back to unkeyed digests would expose what the key was to hide.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::privacy::digest::{BadKey, Key};
use crate::processors::complaints::Complaints;
use crate::settings::{Given, read_key_file};

/// One key.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeySettings {
    /// Holds a key in hex or base64, 32 bytes or more.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<String>")]
    pub(super) key: Option<String>,
    /// Names a file that holds the key.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<PathBuf>")]
    pub(super) key_file: Option<PathBuf>,
    /// Names the key in digests.
    #[serde(deserialize_with = "written")]
    #[schemars(with = "Given<String>")]
    pub(super) key_id: Option<String>,
}

/// Tells a key that is written with nothing behind it from one that is not written.
pub(super) fn written<'de, D, T>(d: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Some(Option::deserialize(d)?.unwrap_or_default()))
}

impl KeySettings {
    /// Reads the key, complaining below `at`.
    pub(super) fn read(&self, at: &str, base: &Path, complaints: &mut Complaints) -> Option<Key> {
        let (field, text) = match (&self.key, &self.key_file) {
            (Some(text), None) => ("key", text.clone()),
            (None, Some(file)) => ("key_file", self.read_file(at, &base.join(file), complaints)?),
            (Some(_), Some(_)) => {
                complaints.error(below(at, "key_file"), "stands beside `key`; keep one of them");
                return None;
            }
            (None, None) => {
                complaints.error(at, "a key is written as `key` or `key_file`");
                return None;
            }
        };
        match Key::parse(&text, self.key_id.as_deref()) {
            Ok(key) => return Some(key),
            Err(why @ BadKey::Id) => complaints.error(below(at, "key_id"), why),
            Err(why) => complaints.error(below(at, field), why),
        }
        None
    }

    fn read_file(&self, at: &str, path: &Path, complaints: &mut Complaints) -> Option<String> {
        let field = below(at, "key_file");
        if self.key_file.as_ref().is_some_and(|file| file.as_os_str().is_empty()) {
            complaints.error(field, "is empty; write the path of the key file");
            return None;
        }
        if let Some(mode) = open_to_others(path) {
            let message = format!("`{}` has mode {mode:04o}; a key wants 0600", path.display());
            complaints.warn(&field, message);
        }
        match read_key_file(path) {
            Ok(text) => Some(text),
            Err(why) => {
                complaints.unready(field, format!("{why:#}"));
                None
            }
        }
    }
}

fn below(at: &str, field: &str) -> String {
    if at.is_empty() { field.to_owned() } else { format!("{at}.{field}") }
}

/// The permissions of a key file, if they are not those of one.
fn open_to_others(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = path.metadata().ok()?.permissions().mode() & 0o777;
    (mode != 0o600 && mode != 0o400).then_some(mode)
}
