//! Keys in files of their own.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;

/// A key file is one line; what is longer is another file.
const MAX_KEY_FILE: u64 = 4096;

/// Reads the text of a key file, at most a few KiB. The error names the file and never its content.
pub fn read_key_file(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("cannot open the key file `{name}`"))?;
    file.take(MAX_KEY_FILE + 1)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot read the key file `{name}`"))?;
    anyhow::ensure!(text.len() as u64 <= MAX_KEY_FILE, "`{name}` is too long for a key file");
    Ok(text)
}
