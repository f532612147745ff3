//! The file that lines go to: opened without waiting for anybody, and left with whole lines.
//!
//! A regular file is cut back to the line before when there is no room for the next. A FIFO, or a terminal, is written
//! to as long as somebody reads: what has gone into it cannot be taken back, so a line that got stuck there half
//! written is closed off before the next. Nothing is moved or removed here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Says how long a FIFO or a terminal may take nothing. An attempt has seconds, and its thread serves nobody else.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file that was opened at a path.
pub(super) struct Target {
    file: File,
    /// Device and inode, to notice when the path leads elsewhere.
    id: (u64, u64),
    /// It has a length, and can be cut.
    regular: bool,
    /// In bytes; 0 of what is not regular.
    len: u64,
    /// It does not end in a newline.
    torn: bool,
}

impl Target {
    /// Opens the file at `path`, and makes it with these permissions if there is none; `empty` takes away what is in
    /// it. A FIFO that nobody reads from is an error: the kernel would take its fill, and nobody would ever have it.
    pub(super) fn open(path: &Path, mode: u32, empty: bool) -> io::Result<Target> {
        let mut options = OpenOptions::new();
        options.append(true).mode(mode).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        // Who opens a FIFO to read as well is a reader of it himself.
        let fifo = fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo());
        let file = match fifo {
            true => options.open(path).map_err(nobody_reads)?,
            false => options.read(true).create(true).open(path)?,
        };
        let found = file.metadata()?;
        if found.file_type().is_fifo() != fifo {
            return Err(io::Error::other("it was replaced just now"));
        }
        let regular = found.is_file();
        if empty && regular {
            file.set_len(0)?;
        }
        // For whoever removes old files: this one is written to. Nothing depends on it here.
        drop(file.try_lock_shared());
        let len = if regular { file.metadata()?.len() } else { 0 };
        let torn = regular && ends_inside_a_line(&file, len)?;
        Ok(Target { file, id: (found.dev(), found.ino()), regular, len, torn })
    }

    /// Says whether the path still leads here.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == self.id)
    }

    /// Says whether these lines would make a file with something in it longer than `limit`, in bytes.
    pub(super) fn would_exceed(&self, limit: u64, lines: &[u8]) -> bool {
        self.len > 0 && self.len + lines.len() as u64 > limit
    }

    /// Says whether something half written stands in what cannot be cut: whoever opens it anew would not know.
    pub(super) fn is_stuck(&self) -> bool {
        self.torn && !self.regular
    }

    /// Writes all of these lines, or leaves the file as it was. See the module for what is no regular file.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let closing: &[u8] = if self.torn { b"\n" } else { b"" };
        // One call, so that other writers of the file cannot come in between.
        let closed;
        let bytes = match closing {
            [] => lines,
            _ => {
                closed = [closing, lines].concat();
                &closed
            }
        };
        let mut written = Written::default();
        match self.put(bytes, &mut written) {
            Ok(()) if self.regular => self.len += bytes.len() as u64,
            Ok(()) => {}
            Err(error) if self.regular => {
                self.take_back(&written);
                return Err(error);
            }
            Err(error) => {
                self.torn |= written.bytes > 0;
                return Err(error);
            }
        }
        self.torn = false;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8], written: &mut Written) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.file.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    written.bytes += n as u64;
                    rest = &rest[n..];
                    if self.regular && written.from.is_none() {
                        let end = self.file.stream_position()?;
                        written.from = end.checked_sub(n as u64);
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => until_writable(&self.file)?,
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Cuts what was written off again, unless somebody else has written into it or behind it. What cannot be cut is
    /// found when the file is opened again.
    fn take_back(&mut self, written: &Written) {
        let Some(from) = written.from else { return };
        let ours = Some(from + written.bytes);
        let (end, len) = (self.file.stream_position().ok(), self.file.metadata().ok());
        if end == ours && len.map(|len| len.len()) == ours {
            drop(self.file.set_len(from));
        }
    }
}

/// Counts what went into a file, and notes where that begins, if that is known.
#[derive(Debug, Default)]
struct Written {
    from: Option<u64>,
    bytes: u64,
}

fn nobody_reads(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) {
        return io::Error::new(ErrorKind::NotConnected, "nobody reads from this FIFO");
    }
    error
}

fn until_writable(file: &File) -> io::Result<()> {
    let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    let ready = poll(&mut [PollFd::new(file, PollFlags::OUT)], Some(&patience));
    match ready {
        Ok(0) => {
            let why = format!("its reader took nothing for {PATIENCE:?}");
            Err(io::Error::new(ErrorKind::TimedOut, why))
        }
        // Interrupted, it is asked again by the write that follows.
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn ends_inside_a_line(file: &File, len: u64) -> io::Result<bool> {
    let Some(last) = len.checked_sub(1) else { return Ok(false) };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::Command;

    use super::*;

    fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        (dir, path)
    }

    fn reader(path: &Path) -> File {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new().read(true).custom_flags(flags).open(path).unwrap()
    }

    /// Reads what is there.
    fn drained(reader: &mut File) -> Vec<u8> {
        let mut all = Vec::new();
        let end = reader.read_to_end(&mut all);
        assert_eq!(end.unwrap_err().kind(), ErrorKind::WouldBlock);
        all
    }

    #[test]
    fn a_fifo_is_opened_once_somebody_reads_from_it() {
        let (_dir, path) = fifo();
        for empty in [false, true] {
            let error = Target::open(&path, 0o600, empty).err().unwrap();
            assert_eq!(error.to_string(), "nobody reads from this FIFO");
        }
        let mut reader = reader(&path);
        let mut target = Target::open(&path, 0o600, true).unwrap();
        target.write(b"one\n").unwrap();
        assert_eq!(drained(&mut reader), b"one\n");
        assert!(!target.would_exceed(1, b"two\n"), "it is never moved aside");
        drop(reader);
        assert_eq!(target.write(b"two\n").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_reader_that_takes_nothing_is_given_up_and_the_half_line_closed_off() {
        let (_dir, path) = fifo();
        let mut reader = reader(&path);
        let mut target = Target::open(&path, 0o600, false).unwrap();
        let large = [vec![b'x'; 8 << 20], b"\n".to_vec()].concat();
        let error = target.write(&large).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(target.is_stuck() && target.is_at(&path));
        let half = drained(&mut reader);
        assert!(half.len() < large.len() && !half.contains(&b'\n'));
        target.write(b"two\n").unwrap();
        assert_eq!(drained(&mut reader), b"\ntwo\n");
        assert!(!target.is_stuck());
    }

    #[test]
    fn a_slow_reader_gets_all_of_it() {
        let (_dir, path) = fifo();
        let mut reader = reader(&path);
        let mut target = Target::open(&path, 0o600, false).unwrap();
        let large = [vec![b'x'; 8 << 20], b"\n".to_vec()].concat();
        let length = large.len();
        let reading = std::thread::spawn(move || {
            let mut seen = 0;
            let mut some = [0; 3000];
            while seen < length {
                match reader.read(&mut some) {
                    Ok(n) => seen += n,
                    Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
                }
            }
        });
        target.write(&large).unwrap();
        reading.join().unwrap();
    }

    #[test]
    fn a_full_device_is_told() {
        let full = Path::new("/dev/full");
        if full.exists() {
            let mut target = Target::open(full, 0o600, true).unwrap();
            assert_eq!(target.write(b"one\n").unwrap_err().kind(), ErrorKind::StorageFull);
            assert!(!target.is_stuck());
        }
    }

    #[test]
    fn what_did_not_fit_is_taken_back_unless_somebody_wrote_behind_it() {
        for (behind, left) in [("", "one\n"), ("other\n", "one\nhalother\n")] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("spans.jsonl");
            fs::write(&path, "one\n").unwrap();
            let mut target = Target::open(&path, 0o600, false).unwrap();
            let mut written = Written::default();
            target.put(b"hal", &mut written).unwrap();
            let mut other = OpenOptions::new().append(true).open(&path).unwrap();
            other.write_all(behind.as_bytes()).unwrap();
            target.take_back(&written);
            assert_eq!(fs::read_to_string(&path).unwrap(), left);
        }
    }
}
