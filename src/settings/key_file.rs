//! Keys in files of their own.

use std::path::Path;

use anyhow::Context as _;

use super::read_file;

/// A key file is one line; what is longer is another file.
const MAX_KEY_FILE: u64 = 4096;

/// Reads the text of a key file, at most a few KiB. The error names the file and never its content.
pub fn read_key_file(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let bytes = read_file(path, MAX_KEY_FILE)
        .with_context(|| format!("cannot read the key file `{name}`"))?;
    anyhow::ensure!(bytes.len() as u64 <= MAX_KEY_FILE, "`{name}` is too long for a key file");
    String::from_utf8(bytes).map_err(|_| anyhow::anyhow!("the key file `{name}` is not text"))
}
