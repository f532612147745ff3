//! Plain calls with directories and an environment of their own.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use super::*;

/// A machine of its own: `home`, `tmp` and whatever a test makes beside them.
struct Machine {
    root: tempfile::TempDir,
    env: HashMap<&'static str, OsString>,
    account: Option<PathBuf>,
}

impl Machine {
    /// Without any variable but the temporary directory's, and without an account.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        let env = HashMap::from([("TMPDIR", root.path().join("tmp").into())]);
        Machine { root, env, account: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn home(&self, name: &str) -> PathBuf {
        let home = self.path(name);
        fs::create_dir_all(&home).unwrap();
        home
    }

    /// In the temporary directory.
    fn fallback(&self) -> PathBuf {
        self.path("tmp").join(format!("mcpcol-{}", geteuid().as_raw()))
    }

    fn open(&self) -> (Option<State>, Vec<String>) {
        let env = |name: &str| self.env.get(name).cloned();
        let account_home = || self.account.clone();
        let mut notes = Vec::new();
        let around = Surroundings { env: &env, account_home: &account_home };
        (open_in(&around, true, &mut notes), notes)
    }

    /// Says where it is expected before it is made.
    fn expected(&self) -> Option<PathBuf> {
        let env = |name: &str| self.env.get(name).cloned();
        let account_home = || self.account.clone();
        expected_in(&Surroundings { env: &env, account_home: &account_home })
    }

    /// Says where it is, without anything to say.
    fn found(&self) -> PathBuf {
        let expected = self.expected();
        let (state, notes) = self.open();
        assert_eq!(notes, [""; 0]);
        let dir = state.unwrap().dir;
        assert_eq!((expected, self.expected()), (Some(dir.clone()), Some(dir.clone())));
        dir
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_first_place_that_is_told_is_used() {
    let mut machine = Machine::new();
    assert_eq!(machine.found(), machine.fallback());
    assert_eq!(mode(&machine.fallback()), 0o700);
    machine.account = Some(machine.home("account"));
    assert_eq!(machine.found(), machine.path("account/.local/state/mcpcol"));
    machine.env.insert("HOME", machine.home("home").into());
    assert_eq!(machine.found(), machine.path("home/.local/state/mcpcol"));
    machine.env.insert("XDG_STATE_HOME", machine.path("made/if/absent").into());
    assert_eq!(machine.found(), machine.path("made/if/absent/mcpcol"));
    assert_eq!(mode(&machine.path("made/if/absent/mcpcol")), 0o700);
}

/// The configuration that names it is text.
#[test]
fn a_place_whose_path_is_not_utf_8_is_passed_over_and_said() {
    let mut machine = Machine::new();
    let odd = |name: &[u8]| machine.root.path().join(OsStr::from_bytes(name));
    let (state, home) = (odd(b"state\xff"), odd(b"home\xfe"));
    fs::create_dir(&home).unwrap();
    machine.env.insert("XDG_STATE_HOME", state.clone().into());
    machine.env.insert("HOME", home.clone().into());
    assert_eq!(machine.expected(), Some(machine.fallback()));
    let (found, notes) = machine.open();
    assert_eq!(found.unwrap().dir, machine.fallback());
    let [note] = &notes[..] else { panic!("{notes:?}") };
    assert!(note.contains("its path is not UTF-8; using "), "{note}");
    assert!(!state.exists() && fs::read_dir(home).unwrap().next().is_none());
}

#[test]
fn whoever_asks_where_it_would_be_makes_nothing() {
    let mut machine = Machine::new();
    machine.env.insert("XDG_STATE_HOME", machine.path("made/if/absent").into());
    assert_eq!(machine.expected(), Some(machine.path("made/if/absent/mcpcol")));
    assert!(!machine.path("made").exists());
    fs::write(machine.path("made"), "a file").unwrap();
    assert_eq!(machine.expected(), Some(machine.fallback()));
    assert!(!machine.fallback().exists());
}

#[test]
fn a_home_that_is_empty_relative_or_not_there_is_none() {
    for home in ["", "home", "./home", "/nonexistent"] {
        let mut machine = Machine::new();
        machine.env.insert("HOME", home.into());
        machine.env.insert("XDG_STATE_HOME", "state".into());
        assert_eq!(machine.found(), machine.fallback(), "{home}");
        machine.account = Some(machine.home("account"));
        assert_eq!(machine.found(), machine.path("account/.local/state/mcpcol"), "{home}");
        assert!(!Path::new("/nonexistent").exists());
    }
}

#[test]
fn a_place_of_the_users_may_lie_behind_a_link_of_theirs() {
    let mut machine = Machine::new();
    symlink(machine.home("elsewhere"), machine.path("state")).unwrap();
    machine.env.insert("XDG_STATE_HOME", machine.path("state").into());
    assert_eq!(machine.found(), machine.path("state/mcpcol"));
    assert!(machine.path("elsewhere/mcpcol/digest.key").is_file());
}

#[test]
fn the_directory_itself_may_be_a_link_of_the_users_and_what_is_behind_it_stays_as_it_is() {
    let mut machine = Machine::new();
    machine.env.insert("HOME", machine.home("home").into());
    let (dir, behind) = (machine.home("home/.local/state").join("mcpcol"), machine.home("disk"));
    symlink(&behind, &dir).unwrap();
    fs::set_permissions(&behind, Permissions::from_mode(0o755)).unwrap();
    assert_eq!((machine.found(), mode(&behind)), (dir.clone(), 0o755));

    fs::set_permissions(&behind, Permissions::from_mode(0o777)).unwrap();
    let (state, notes) = machine.open();
    assert_eq!((state.unwrap().dir, mode(&behind)), (machine.fallback(), 0o777));
    assert!(notes[0].contains("it is open to other users"), "{notes:?}");

    fs::set_permissions(&behind, Permissions::from_mode(0o755)).unwrap();
    if std::os::unix::fs::lchown(&dir, Some(12345), None).is_err() {
        return; // Only root can give a link away.
    }
    let (state, notes) = machine.open();
    assert_eq!((state.unwrap().dir, mode(&behind)), (machine.fallback(), 0o755));
    assert!(notes[0].contains("it is a link of another user"), "{notes:?}");
}

#[test]
fn a_directory_of_ours_that_is_too_open_is_closed() {
    let mut machine = Machine::new();
    machine.env.insert("HOME", machine.home("home").into());
    let dir = machine.home("home/.local/state/mcpcol");
    for open in [0o755, 0o777, 0o750] {
        fs::set_permissions(&dir, Permissions::from_mode(open)).unwrap();
        assert_eq!(machine.found(), dir);
        assert_eq!(mode(&dir), 0o700);
    }
}

#[test]
fn in_the_temporary_directory_nothing_is_used_that_others_may_have_made() {
    let machine = Machine::new();
    let ours = machine.home("ours");
    symlink(&ours, machine.fallback()).unwrap();
    let (state, notes) = machine.open();
    assert_eq!((state, notes.len()), (None, 1), "a link: {notes:?}");
    assert_eq!(machine.expected(), None);
    assert_eq!(fs::read_dir(&ours).unwrap().count(), 0);

    fs::remove_file(machine.fallback()).unwrap();
    fs::create_dir(machine.fallback()).unwrap();
    fs::set_permissions(machine.fallback(), Permissions::from_mode(0o777)).unwrap();
    let (state, notes) = machine.open();
    assert_eq!(state, None);
    assert!(notes[0].contains("it is open to other users"), "{notes:?}");
    assert_eq!(mode(&machine.fallback()), 0o777, "nothing is mended there");
    assert_eq!(machine.expected(), None);

    fs::remove_dir(machine.fallback()).unwrap();
    fs::write(machine.fallback(), "a file").unwrap();
    assert_eq!(machine.open().0, None);
}

#[test]
fn what_belongs_to_another_user_is_not_used() {
    let mut machine = Machine::new();
    let dir = machine.home("home/.local/state/mcpcol");
    machine.env.insert("HOME", machine.path("home").into());
    if std::os::unix::fs::chown(&dir, Some(12345), None).is_err() {
        return; // Only root can give a directory away.
    }
    let (state, notes) = machine.open();
    assert_eq!(state.unwrap().dir, machine.fallback());
    assert_eq!(notes.len(), 1);
    let expected = format!(
        "cannot use {}: it belongs to another user; using {} instead",
        dir.display(),
        machine.fallback().display()
    );
    assert_eq!(notes[0], expected);

    std::os::unix::fs::chown(machine.fallback(), Some(12345), None).unwrap();
    let (state, notes) = machine.open();
    assert_eq!((state, notes.len()), (None, 1), "{notes:?}");
}

#[test]
fn what_cannot_be_written_is_said_in_one_line_and_the_next_place_is_used() {
    let mut machine = Machine::new();
    machine.env.insert("XDG_STATE_HOME", "/proc/no/such".into());
    machine.env.insert("HOME", "/proc".into());
    let (state, notes) = machine.open();
    assert_eq!(state.unwrap().dir, machine.fallback());
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].starts_with("cannot use /proc/no/such/mcpcol: "), "{notes:?}");
}

#[test]
fn the_key_is_made_once_for_the_user_alone() {
    let machine = Machine::new();
    let path = machine.open().0.unwrap().key.unwrap();
    let key = fs::read_to_string(&path).unwrap();
    assert_eq!(key.trim().len(), 2 * key::KEY_BYTES);
    assert_eq!(mode(&path), 0o600);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(machine.open().0.unwrap().key, Some(path.clone()));
    assert_eq!(mode(&path), 0o600, "a key that others may read is closed to them");
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
    assert_eq!(fs::read_dir(machine.fallback()).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn a_key_behind_a_link_is_not_used_and_the_directory_is() {
    let machine = Machine::new();
    fs::write(machine.path("theirs"), "00".repeat(32)).unwrap();
    fs::create_dir(machine.fallback()).unwrap();
    fs::set_permissions(machine.fallback(), Permissions::from_mode(0o700)).unwrap();
    symlink(machine.path("theirs"), machine.fallback().join(key::NAME)).unwrap();
    let (state, notes) = machine.open();
    assert_eq!(state, Some(State { dir: machine.fallback(), key: None }));
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("digest.key is a link or no file"), "{notes:?}");
}

#[test]
fn taps_that_start_together_share_one_key() {
    let machine = Machine::new();
    let dir = machine.home("dir");
    let start = std::sync::Barrier::new(8);
    let keys: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            start.wait();
            fs::read_to_string(key::digest_key(&dir).unwrap().unwrap()).unwrap()
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 2 * key::KEY_BYTES + 1));
}

/// A directory with files, each so many days old and so many bytes long; what is left after cleaning.
fn left(files: &[(&str, u64, usize)], bytes: u64, written: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    for (name, days, len) in files {
        let path = dir.path().join(name);
        fs::write(&path, "x".repeat(*len)).unwrap();
        let age = Duration::from_secs(days * 24 * 3600 + 60);
        File::options().write(true).open(&path).unwrap().set_modified(now - age).unwrap();
    }
    let locked: Vec<_> =
        written.iter().map(|name| File::open(dir.path().join(name)).unwrap()).collect();
    locked.iter().for_each(|file| file.lock_shared().unwrap());
    let limits = Limits { bytes, ..Limits::default() };
    let would = prune(dir.path(), limits, now, false);
    let pruned = prune(dir.path(), limits, now, true);
    assert_eq!(would.removed.len(), pruned.removed.len());
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    left
}

#[test]
fn files_of_spans_are_removed_after_thirty_days_under_their_old_names_and_new_ones() {
    let files = [
        ("a-1.jsonl", 30, 1),
        ("a-1.jsonl.1", 30, 1),
        ("a-b-1-0123abcd.jsonl", 30, 1),
        ("a-b-1-0123abcd.jsonl.1", 30, 1),
        ("a-b-1-0123abcd.logs.jsonl", 30, 1),
        ("a-b-1-0123abcd.logs.jsonl.1", 30, 1),
        ("a-2.jsonl", 29, 1),
        ("a-2-0123abcd.jsonl", 8, 1),
        ("digest.key", 400, 1),
        ("digest.key.77", 30, 1),
        ("digest.key.0123abcd", 1, 1),
        ("mine.jsonl", 400, 1),
        ("mine-0123abcd.jsonl", 400, 1),
        ("notes-1.txt", 400, 1),
    ];
    let expected = [
        "a-2-0123abcd.jsonl",
        "a-2.jsonl",
        "digest.key",
        "digest.key.0123abcd",
        "mine-0123abcd.jsonl",
        "mine.jsonl",
        "notes-1.txt",
    ];
    assert_eq!(left(&files, u64::MAX, &[]), expected);
}

#[test]
fn the_oldest_files_go_when_all_together_are_too_large() {
    let files = [("a-1.jsonl", 1, 400), ("b-1-0123abcd.jsonl", 2, 400), ("c-1.jsonl.1", 3, 400)];
    assert_eq!(left(&files, 1200, &[]).len(), 3);
    assert_eq!(left(&files, 1199, &[]), ["a-1.jsonl", "b-1-0123abcd.jsonl"]);
    assert_eq!(left(&files, 400, &[]), ["a-1.jsonl"]);
    assert_eq!(left(&files, 0, &[]), [""; 0]);
}

#[test]
fn files_of_running_taps_stay() {
    let files = [
        ("a-1-0123abcd.jsonl", 40, 400),
        ("a-1-0123abcd.jsonl.1", 41, 400),
        ("b-1-0123abcd.jsonl", 1, 400),
    ];
    let running = ["a-1-0123abcd.jsonl"];
    assert_eq!(left(&files, 1200, &running).len(), 3);
    assert_eq!(left(&files, 800, &running), ["a-1-0123abcd.jsonl", "a-1-0123abcd.jsonl.1"]);
}

#[test]
fn a_link_among_the_files_is_neither_followed_nor_removed() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("precious");
    fs::write(&target, "x").unwrap();
    symlink(&target, dir.path().join("a-1-0123abcd.jsonl")).unwrap();
    let limits = Limits { age: Duration::ZERO, bytes: 0 };
    assert_eq!(prune(dir.path(), limits, SystemTime::now(), true).stay, 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
