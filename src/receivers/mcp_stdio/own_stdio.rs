//! Gives the process's own stdin and stdout to one tap: there is one pair in a process's life. Its stderr is shared.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use super::child::{Ends, Pipe};
use super::tap::{Remote, Tap};

/// Says whether somebody has claimed them.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// The tap that took them.
static RUNNING: OnceLock<Remote> = OnceLock::new();

/// The right to take the process's stdin and stdout; dropped, it is anybody's again.
pub(super) struct OwnStdio(());

impl OwnStdio {
    /// Claims them; an error if somebody did before.
    pub(super) fn claim() -> io::Result<Self> {
        if CLAIMED.swap(true, Ordering::Relaxed) {
            let why = "another server has this process's stdin and stdout, and keeps them: restart mcpcol";
            return Err(io::Error::other(why));
        }
        Ok(OwnStdio(()))
    }

    /// Takes them. What stays behind is `/dev/null`: a stray print cannot break the protocol, and dropping a
    /// pipe really closes it.
    pub(super) fn take(self) -> io::Result<Ends> {
        let stdin = io::stdin().as_fd().try_clone_to_owned()?;
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        // Once they are taken, nobody can have them.
        std::mem::forget(self);
        Ok(Ends { from: Pipe::from(stdin), to: Pipe::from(stdout) })
    }
}

impl Drop for OwnStdio {
    fn drop(&mut self) {
        CLAIMED.store(false, Ordering::Relaxed);
    }
}

/// Our own stderr, for what a child writes to its.
pub(super) fn stderr() -> io::Result<Pipe> {
    Ok(Pipe::from(io::stderr().as_fd().try_clone_to_owned()?))
}

/// Remembers the tap that took them, for [`remote`].
pub(super) fn taken_by(tap: &Tap) {
    RUNNING.set(tap.remote()).ok();
}

/// Reaches the child that has the process's stdin and stdout, if there is one and it has not ended.
pub fn remote() -> Option<Remote> {
    RUNNING.get().filter(|remote| !remote.has_ended()).cloned()
}
