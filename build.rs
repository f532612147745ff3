//! Tells the program which commit it is made of, where that is known: from the package's note of it, or from git.
//!
//! Builds for development are not told, so that a commit does not make them all anew.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let named = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo::rustc-env=MCPCOL_VERSION={named}");
}

fn commit() -> Option<String> {
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return None;
    }
    let root = env::var_os("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&root);
    packaged(root).or_else(|| checked_out(root))
}

/// Reads what `cargo package` notes beside the sources.
fn packaged(root: &Path) -> Option<String> {
    let path = root.join(".cargo_vcs_info.json");
    let note = fs::read_to_string(path).ok()?;
    let (_, rest) = note.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    short(commit)
}

/// Asks git, if the sources are the root of a checkout.
fn checked_out(root: &Path) -> Option<String> {
    if !root.join(".git").exists() {
        return None;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    // Each commit and checkout adds a line there.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    short(&git(&["rev-parse", "HEAD"])?)
}

fn short(commit: &str) -> Option<String> {
    commit.get(..12).filter(|short| short.bytes().all(|b| b.is_ascii_hexdigit())).map(str::to_owned)
}
