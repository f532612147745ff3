//! Unix sockets by path: for their owner alone, at paths of any length, and what dead processes left behind.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use tokio::net::{UnixListener, UnixSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 64;
/// The longest path of an address, in bytes: `sun_path` has 108 in Linux and 104 in macOS, with a zero at its end.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };
/// From being made to listening takes no longer.
const YOUNG: Duration = Duration::from_secs(10);

/// A path that an address has room for.
struct Short {
    path: PathBuf,
    /// Holds what makes it one: the directory, opened.
    _directory: Option<OwnedFd>,
}

impl Short {
    /// Shortens a path that is too long by way of its directory, opened, which Linux has a name for.
    fn of(path: &Path) -> io::Result<Short> {
        if path.as_os_str().len() <= LONGEST {
            return Ok(Short { path: path.to_owned(), _directory: None });
        }
        let too_long =
            || io::Error::new(io::ErrorKind::InvalidInput, "its path is too long for a socket");
        if !cfg!(target_os = "linux") {
            return Err(too_long());
        }
        let (directory, name) = path.parent().zip(path.file_name()).ok_or_else(too_long)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(directory, flags, Mode::empty())?;
        let number = opened.as_raw_fd().to_string();
        let path = Path::new("/proc/self/fd").join(number).join(name);
        if path.as_os_str().len() > LONGEST {
            return Err(too_long());
        }
        Ok(Short { path, _directory: Some(opened) })
    }
}

/// Listens at the path, for connections of the same user alone. Nothing may be there.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    let short = Short::of(path)?;
    let socket = UnixSocket::new_stream()?;
    socket.bind(&short.path)?;
    // Until it listens nobody can connect, whatever the mode is that it was made with.
    let listening = fs::set_permissions(path, Permissions::from_mode(0o600))
        .and_then(|()| socket.listen(BACKLOG));
    listening.inspect_err(|_| drop(fs::remove_file(path)))
}

/// Connects to the socket at the path, without waiting: one whose backlog is full is busy (`WouldBlock`), one to which
/// nobody listens refuses.
pub(crate) fn connect_to(path: &Path) -> io::Result<StdStream> {
    let short = Short::of(path)?;
    let address = SocketAddrUnix::new(&short.path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    Ok(socket.into())
}

/// Says whether nobody listens there any more, nor ever will: its process is dead. One that was made a moment ago may be
/// about to.
pub(crate) fn is_abandoned(path: &Path) -> bool {
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    let Ok(there) = fs::symlink_metadata(path) else { return false };
    let age = there.modified().ok().and_then(|made| made.elapsed().ok());
    there.file_type().is_socket()
        && age.is_some_and(|age| age > YOUNG)
        && connect_to(path).is_err_and(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(path: &Path) {
        let times = rustix::fs::Timestamps {
            last_access: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
            last_modification: rustix::fs::Timespec { tv_sec: 1, tv_nsec: 0 },
        };
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .unwrap();
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_one_that_nobody_listens_to_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.sock");
        let listener = listen(&path).unwrap();
        let there = fs::symlink_metadata(&path).unwrap();
        assert!(there.file_type().is_socket());
        assert_eq!(there.permissions().mode() & 0o777, 0o600);
        assert!(listen(&path).is_err(), "one that is there is left alone");
        connect_to(&path).unwrap();
        old(&path);
        assert!(!is_abandoned(&path));
        drop(listener);
        assert!(is_abandoned(&path));
        let young = directory.path().join("y.sock");
        drop(listen(&young).unwrap());
        assert!(!is_abandoned(&young), "it may be about to listen");
        let file = directory.path().join("z.sock");
        fs::write(&file, "").unwrap();
        old(&file);
        assert!(!is_abandoned(&file) && !is_abandoned(&directory.path().join("absent.sock")));
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_path_may_be_longer_than_an_address() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(90)).join("e".repeat(90));
        fs::create_dir_all(&deep).unwrap();
        let path = deep.join("x.sock");
        let listener = listen(&path).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        connect_to(&path).unwrap();
        listener.accept().await.unwrap();
        let name = deep.join("n".repeat(120));
        assert!(listen(&name).unwrap_err().to_string().contains("too long"));
    }
}
