//! Reads the small files that settings name, within bounds and without ever waiting for one.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Reads at most `max` bytes, and one more where there are more. A named pipe is refused, and so is whatever has
/// nothing to give at once: nobody would know what is waited for. What the shell opened for us (`<(...)`) is read to its
/// end.
pub fn read_file(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path)?.take(max.saturating_add(1)).read_to_end(&mut bytes);
    match read {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(io::Error::new(ErrorKind::WouldBlock, "it has nothing to be read now"))
        }
        read => read.map(|_| bytes),
    }
}

fn open(path: &Path) -> io::Result<File> {
    let handed = ["/dev/fd", "/dev/stdin", "/proc/self/fd"].iter().any(|own| path.starts_with(own));
    if handed {
        return File::open(path);
    }
    // Without this the mere opening of a pipe waits for somebody who writes.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a pipe, not a file"));
    }
    if kind.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn files_are_read_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read_file(&path, 10).unwrap(), b"0123456789");
        assert_eq!(read_file(&path, 4).unwrap(), b"01234", "one more tells that there is more");
        assert_eq!(read_file(Path::new("/dev/null"), 4).unwrap(), b"");
        assert_eq!(read_file(dir.path(), 4).unwrap_err().kind(), ErrorKind::IsADirectory);
    }

    #[test]
    fn nothing_waits_for_a_pipe_and_what_the_shell_opened_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read_file(&path, 4).unwrap_err().to_string(), "it is a pipe, not a file");
        let (from, mut to) = io::pipe().unwrap();
        to.write_all(b"a: b").unwrap();
        drop(to);
        let handed = format!("/dev/fd/{}", from.as_raw_fd());
        assert_eq!(read_file(Path::new(&handed), 9).unwrap(), b"a: b");
    }
}
