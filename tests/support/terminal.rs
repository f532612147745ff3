//! A pseudo-terminal, and what is typed at it and shown on it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, openpt, ptsname, unlockpt};

/// A terminal: what is written to `keys` is typed, what is shown is read from there, and closing it hangs up.
pub(crate) struct Terminal {
    pub(crate) keys: File,
    pub(crate) name: String,
    /// The other side: while nobody has it open a terminal loses its session.
    pub(crate) open: File,
}

impl Terminal {
    pub(crate) fn new() -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap().into_string().unwrap();
        let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let open = File::options().read(true).write(true).custom_flags(flags).open(&name).unwrap();
        Terminal { keys: File::from(keys), name, open }
    }
}
