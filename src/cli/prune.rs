//! `mcpcol prune`: removes local records that are too old or too many, as every tap does when it starts.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::state::{self, Found, Limits, Pruned};
use super::table::Table;
use crate::exporters::debug::Timestamp;

/// Arguments of `mcpcol prune`.
#[derive(clap::Args, Debug)]
pub(super) struct Prune {
    /// Remove what was written last more than so many days ago: 0 to 36500
    #[arg(long, value_name = "DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=36500))]
    older_than: u32,
    /// Then the oldest until all files have no more than this, in MiB: 0 to 4294967295
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    max_size: u32,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Directories; default: the state directory. Only files named as taps name them are looked at
    #[arg(value_name = "DIR")]
    dirs: Vec<PathBuf>,
}

impl Prune {
    /// Removes and says what; exit code 1 if something could not be.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let limits = Limits {
            age: Duration::from_secs(u64::from(self.older_than) * 24 * 3600),
            bytes: u64::from(self.max_size) << 20,
        };
        let now = SystemTime::now();
        let usual = || state::expected().into_iter().collect();
        let dirs = if self.dirs.is_empty() { usual() } else { self.dirs };
        let mut all = Pruned::default();
        for dir in dirs {
            let pruned = state::prune(&dir, limits, now, !self.dry_run);
            all.removed.extend(pruned.removed);
            all.failed.extend(pruned.failed);
            all.stay += pruned.stay;
            all.bytes += pruned.bytes;
            all.written += pruned.written;
        }
        for (file, error) in &all.failed {
            super::say(&format!("mcpcol: cannot remove `{}`: {error}", file.path.display()));
        }
        write!(io::stdout().lock(), "{}", told(&all, self.dry_run))?;
        Ok(if all.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Tells what was removed, file by file, and what stays.
fn told(pruned: &Pruned, dry_run: bool) -> String {
    let mut table = Table::new(&["last written", ">size", "file"]);
    for Found { path, modified, bytes, .. } in &pruned.removed {
        let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let time = Timestamp(u64::try_from(since.as_nanos()).unwrap_or(0)).to_string();
        let minute = time.get(..16).unwrap_or(&time).replace('T', " ");
        table.row([minute, size(*bytes), path.display().to_string()]);
    }
    let removed = pruned.removed.len();
    let list = if removed > 0 { format!("{table}\n") } else { String::new() };
    let did = if dry_run { "would remove" } else { "removed" };
    let freed = size(pruned.removed.iter().map(|file| file.bytes).sum());
    let written = match pruned.written {
        0 => String::new(),
        n => format!(", {n} of running taps"),
    };
    let (gone, kept) = (files(removed), files(pruned.stay));
    format!("{list}{did} {gone} ({freed}), kept {kept} ({}{written})\n", size(pruned.bytes))
}

fn files(n: usize) -> String {
    if n == 1 { "1 file".into() } else { format!("{n} files") }
}

/// Writes a number of bytes with three digits or so.
fn size(bytes: u64) -> String {
    let (mut left, mut unit) = (bytes as f64, "B");
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if left < 1000.0 {
            break;
        }
        (left, unit) = (left / 1024.0, larger);
    }
    if unit == "B" || left >= 100.0 {
        format!("{left:.0} {unit}")
    } else {
        format!("{left:.1} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 KiB"),
            (1 << 20, "1.0 MiB"),
            (750 << 20, "750 MiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }

    #[test]
    fn what_goes_is_listed_and_what_stays_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let day = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n * 24 * 3600);
        for (name, n) in [("a-1-0123abcd.jsonl", 1), ("b-1-0123abcd.logs.jsonl", 90)] {
            let path = dir.path().join(name);
            fs::write(&path, "x".repeat(2048)).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(day(n)).unwrap();
        }
        let prune = |remove| state::prune(dir.path(), Limits::default(), day(100), remove);
        let gone = dir.path().join("a-1-0123abcd.jsonl");
        let list = format!(
            "  last written         size  file\n  1970-01-02 00:00  2.0 KiB  {}\n\n",
            gone.display()
        );
        let counts = "would remove 1 file (2.0 KiB), kept 1 file (2.0 KiB)\n";
        assert_eq!(told(&prune(false), true), format!("{list}{counts}"));
        assert!(gone.exists());
        prune(true);
        assert!(!gone.exists());
        assert_eq!(told(&prune(true), false), "removed 0 files (0 B), kept 1 file (2.0 KiB)\n");
    }
}
