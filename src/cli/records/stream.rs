//! Reads what is no regular file - stdin, a FIFO, a terminal - for as long as somebody wants what comes of it.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::cli::say;

/// Says how long nothing is said about a FIFO that nobody writes to.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tells that a reader is gone; the kernel says so unasked.
const GONE: PollFlags = PollFlags::ERR.union(PollFlags::HUP);

/// Reads a stream until it ends, or until nobody reads `out` any more, which is a broken pipe.
pub(in crate::cli) struct Stream<'a> {
    from: File,
    out: BorrowedFd<'a>,
}

impl<'a> Stream<'a> {
    /// Opens it; `-` is stdin. A FIFO is opened once somebody opens it to write: that it is waited for is said on
    /// stderr after a second.
    pub(in crate::cli) fn open(path: &Path, out: BorrowedFd<'a>) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            let from = rustix::stdio::stdin().try_clone_to_owned()?.into();
            return Ok(Stream { from, out });
        }
        let (give, opened) = sync_channel(1);
        let owned = path.to_owned();
        // Who waits for a writer in `open` can wait for nothing else.
        thread::Builder::new().spawn(move || give.send(File::open(owned)).ok())?;
        let mut said = false;
        loop {
            match opened.recv_timeout(PATIENCE) {
                Ok(from) => return Ok(Stream { from: from?, out }),
                Err(RecvTimeoutError::Disconnected) => return Err(ErrorKind::Other.into()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !std::mem::replace(&mut said, true) {
                say(&format!("mcpcol: waiting for somebody to write to `{}`", path.display()));
            }
            if is_closed_within(out, Duration::ZERO)? {
                return Err(ErrorKind::BrokenPipe.into());
            }
        }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut either = [
            PollFd::new(&self.from, PollFlags::IN),
            PollFd::from_borrowed_fd(self.out, PollFlags::empty()),
        ];
        poll(&mut either, None)?;
        if either[1].revents().intersects(GONE) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.from.read(into)
    }
}

/// Waits for that long, or until nobody reads `out` any more, which it tells.
pub(in crate::cli) fn is_closed_within(out: BorrowedFd<'_>, wait: Duration) -> io::Result<bool> {
    let mut one = [PollFd::from_borrowed_fd(out, PollFlags::empty())];
    match poll(&mut one, Some(&Timespec::try_from(wait).map_err(io::Error::other)?)) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Ok(_) if one[0].revents().intersects(GONE) => Ok(true),
        // It cannot be asked.
        Ok(_) => {
            thread::park_timeout(wait);
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn nobody_waits_for_a_stream_that_nobody_wants() {
        let (silent, _open) = io::pipe().unwrap();
        let (reader, out) = io::pipe().unwrap();
        assert!(!is_closed_within(out.as_fd(), Duration::ZERO).unwrap());
        drop(reader);
        assert!(is_closed_within(out.as_fd(), Duration::from_secs(600)).unwrap());
        let from = File::from(std::os::fd::OwnedFd::from(silent));
        let error = Stream { from, out: out.as_fd() }.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn an_output_that_is_a_file_is_never_closed() {
        let out = tempfile::tempfile().unwrap();
        assert!(!is_closed_within(out.as_fd(), Duration::ZERO).unwrap());
        let mut from = Stream::open(Path::new("/dev/null"), out.as_fd()).unwrap();
        assert_eq!(from.read(&mut [0]).unwrap(), 0);
    }
}
