//! `--watch`: notices that the files of a configuration have changed.
//!
//! It looks at them once a second, which works on every file system, for files that an editor puts in place of the old
//! ones, and for the links of a mounted ConfigMap. A file that is away for a moment has not changed. It reads a file only
//! where its times, length or place have changed, and tells only of other bytes.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc::{Receiver, channel};

use crate::config::Sources;
use crate::settings::read_file;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Names what is read of a file, in bytes: a configuration has no more.
const MOST: u64 = 1 << 20;

/// Remembers the files of a configuration as they were at the last look.
#[derive(Debug)]
pub(super) struct Watch(Vec<Watched>);

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    stamp: Option<Stamp>,
    content: Option<u64>,
}

/// Changes whenever a file is written or another one put in its place: device, inode, length, and times of the last
/// writing and of the last change of any kind, with their nanoseconds.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

/// Tells of changes while it is there.
#[derive(Debug)]
pub(super) struct Changes {
    changed: Option<Receiver<()>>,
    #[expect(dead_code, reason = "ends the thread when it is dropped")]
    ends: Option<SyncSender<()>>,
}

impl Watch {
    /// Looks at the files of a configuration for the first time: before it is loaded, so that no change is missed.
    pub(super) fn begin(sources: &Sources) -> Watch {
        let watched = |path| Watched { path, stamp: None, content: None };
        let mut watch = Watch(sources.files().map(watched).collect());
        watch.look();
        watch
    }

    /// Says whether there is anything to watch.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Looks at all of them, and says whether any holds something else than at the last look.
    fn look(&mut self) -> bool {
        // All of them: the next look is to find no change that this one has told of.
        self.0.iter_mut().fold(false, |changed, file| file.look() | changed)
    }

    /// Goes on looking, on a thread of its own.
    pub(super) fn start(mut self) -> anyhow::Result<Changes> {
        let (tell, changed) = channel(1);
        let (ends, ended) = sync_channel::<()>(0);
        let looking = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                if self.look() {
                    // One that waits to be heard stands for this one, too.
                    tell.try_send(()).ok();
                }
            }
        };
        thread::Builder::new()
            .name("watch".into())
            .spawn(looking)
            .context("cannot start the thread that watches the configuration")?;
        Ok(Changes { changed: Some(changed), ends: Some(ends) })
    }
}

impl Changes {
    /// Of nothing that is watched.
    pub(super) fn none() -> Changes {
        Changes { changed: None, ends: None }
    }

    /// Returns at the next change.
    pub(super) async fn next(&mut self) {
        if let Some(changed) = &mut self.changed
            && changed.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}

impl Watched {
    fn look(&mut self) -> bool {
        let Some(stamp) = stamp(&self.path) else { return false };
        if self.stamp.replace(stamp) == Some(stamp) {
            return false;
        }
        let Ok(bytes) = read_file(&self.path, MOST) else { return false };
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let content = hasher.finish();
        self.content.replace(content) != Some(content)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let there = fs::metadata(path).ok()?;
    let (written, changed) =
        ((there.mtime(), there.mtime_nsec()), (there.ctime(), there.ctime_nsec()));
    Some((there.dev(), there.ino(), there.len(), written, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_or_replaced_is_noticed_once_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let (one, two) = (file("a.yaml"), file("b.yaml"));
        fs::write(&one, "a: 1").unwrap();
        fs::write(&two, "b: 1").unwrap();
        let source = |path: &Path| path.display().to_string();
        let config = vec![
            source(&one),
            format!("file:{}", source(&two)),
            "yaml:c: 1".into(),
            "env:X".into(),
        ];
        let mut watch = Watch::begin(&Sources { config, set: vec!["a=2".into()] });
        assert_eq!(watch.0.len(), 2);
        assert!(!watch.look());

        fs::write(&two, "b: 2").unwrap();
        assert_eq!([watch.look(), watch.look()], [true, false], "written in place");
        fs::write(&one, "a: 1").unwrap();
        assert!(!watch.look(), "the same again");
        fs::write(file("new"), "a: 2").unwrap();
        fs::rename(file("new"), &one).unwrap();
        assert_eq!([watch.look(), watch.look()], [true, false], "replaced");
        fs::remove_file(&one).unwrap();
        assert!(!watch.look(), "away for a moment");
        fs::write(&one, "a: 2").unwrap();
        assert!(!watch.look(), "and back");
        fs::write(&one, "a: 3").unwrap();
        fs::write(&two, "b: 3").unwrap();
        assert_eq!([watch.look(), watch.look()], [true, false], "both at once");
    }

    #[test]
    fn the_links_of_a_mounted_config_map_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        for (version, text) in [("v1", "a: 1"), ("v2", "a: 2")] {
            fs::create_dir(dir.path().join(version)).unwrap();
            fs::write(dir.path().join(version).join("config.yaml"), text).unwrap();
        }
        let link = |version: &str| {
            let new = dir.path().join("new");
            std::os::unix::fs::symlink(version, &new).unwrap();
            fs::rename(new, dir.path().join("data")).unwrap();
        };
        link("v1");
        let config = vec![dir.path().join("data/config.yaml").display().to_string()];
        let mut watch = Watch::begin(&Sources { config, set: Vec::new() });
        link("v2");
        assert_eq!([watch.look(), watch.look()], [true, false]);
    }

    #[tokio::test]
    async fn a_change_is_told_and_nobody_waits_for_the_thread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "a: 1").unwrap();
        let config = vec![path.display().to_string()];
        let watch = Watch::begin(&Sources { config, set: Vec::new() });
        fs::write(&path, "a: 2").unwrap();
        let mut changes = watch.start().unwrap();
        changes.next().await;
        drop(changes);
    }
}
