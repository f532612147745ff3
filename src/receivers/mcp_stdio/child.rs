//! Everything here that only Unix has: the child process, its signals, inherited descriptors, thread
//! priority. Linux and macOS.
//!
//! No descriptor is ever made non-blocking: they are shared with the client or the terminal.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions};
use signal_hook::consts::SIGCHLD;

use super::ladder::Signal;
use crate::http::descriptors::with_first_limit;
use crate::pipeline::Exit;

/// Our own settings: another mcpcol in the child must not take them for its own.
const OUR_VARIABLES: &str = "MCPCOL_";

/// Reads scripts that do not say who does.
const SHELL: &str = "/bin/sh";

/// Exit code of a shell when the command is not there.
const NOT_FOUND: i32 = 127;
/// Exit code of a shell when the command cannot be run.
const NOT_EXECUTABLE: i32 = 126;

/// Says how the child is to be started.
pub(super) struct Plan<'a> {
    /// Program and arguments.
    pub(super) command: &'a [OsString],
    /// Set in the child on top of what it inherits.
    pub(super) env: &'a [(String, String)],
    /// Says where it starts, if not where we are.
    pub(super) cwd: Option<&'a Path>,
    /// In a process group of its own.
    pub(super) own_group: bool,
    /// Its stderr is a pipe to us, and not ours.
    pub(super) stderr: bool,
}

/// Says why there is no child.
#[derive(Debug, thiserror::Error)]
#[error("cannot start `{program}`: {why}")]
pub struct CannotStart {
    program: String,
    why: String,
    /// The process should exit with it, as a shell would.
    pub exit_code: i32,
}

/// A child process. Until [`reap`](Child::reap) its pid cannot become another process's: nobody but
/// the holder of this reaps it, so a signal never reaches a stranger.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    pid: Pid,
    own_group: bool,
}

/// Feeds the child's stdin.
pub(super) enum Input {
    /// Until its own end.
    Plain(Pipe),
    /// Until its own end, or until the other [`Closer`] is gone: then it reads as ended.
    Closable(Pipe, PipeReader),
}

/// Ends an [`Input`] by being dropped.
#[derive(Debug)]
pub(super) struct Closer {
    _pipe: PipeWriter,
}

/// Connects to one side of a stdio connection, the client's or the server's.
#[derive(Debug)]
pub(super) struct Ends {
    /// Holds what this side writes is read here.
    pub(super) from: Pipe,
    /// Takes what it is to read.
    pub(super) to: Pipe,
}

/// An inherited or made descriptor, unbuffered. Should somebody else have made it non-blocking, it
/// waits until it is ready.
#[derive(Debug)]
pub(super) struct Pipe(File);

impl CannotStart {
    fn new(plan: &Plan<'_>, error: &io::Error) -> Self {
        let program = plan.command.first().map(|p| p.to_string_lossy().into_owned());
        let program = program.unwrap_or_default();
        let (why, exit_code) = match error.kind() {
            ErrorKind::NotFound if plan.cwd.is_some_and(|cwd| !cwd.is_dir()) => {
                ("its `cwd` is not a directory".into(), NOT_EXECUTABLE)
            }
            ErrorKind::NotFound if program.contains(char::is_whitespace) => (
                "there is no such file; its arguments must be words of their own, or stand under `args`".into(),
                NOT_FOUND,
            ),
            ErrorKind::NotFound if program.contains('/') => {
                ("there is no such file, or its interpreter is missing".into(), NOT_FOUND)
            }
            ErrorKind::NotFound => ("there is no such command on the PATH".into(), NOT_FOUND),
            _ => (error.to_string(), NOT_EXECUTABLE),
        };
        CannotStart { program, why, exit_code }
    }

    /// Not the command's fault: descriptors or threads were not to be had.
    pub(super) fn ours(plan: &Plan<'_>, error: &io::Error) -> Self {
        CannotStart { exit_code: NOT_EXECUTABLE, why: error.to_string(), ..Self::new(plan, error) }
    }
}

/// A child that was started, and our ends of its pipes.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) ends: Ends,
    /// Says where its stderr comes out, if that is a pipe.
    pub(super) stderr: Option<Pipe>,
}

/// Starts the child: its stdin and stdout are pipes, its stderr is ours unless it is planned to be a pipe, too.
pub(super) fn spawn(plan: &Plan<'_>) -> Result<Started, CannotStart> {
    let cannot = |error: io::Error| CannotStart::new(plan, &error);
    let (program, args) = plan
        .command
        .split_first()
        .ok_or_else(|| cannot(io::Error::new(ErrorKind::InvalidInput, "the command is empty")))?;
    let started = with_first_limit(|| command(plan, program, args).spawn());
    let started = started.or_else(|error| match script(plan, program, &error) {
        None => Err(error),
        Some(script) => {
            let args: Vec<_> = [script].into_iter().chain(args.iter().cloned()).collect();
            with_first_limit(|| command(plan, OsStr::new(SHELL), &args).spawn())
        }
    });
    let mut process = started.map_err(cannot)?;
    hear_of_its_end();
    let stdin = process.stdin.take().expect("asked for above");
    let stdout = process.stdout.take().expect("asked for above");
    let process_stderr = process.stderr.take();
    let pid = Pid::from_child(&process);
    let child = Child { process, pid, own_group: plan.own_group };
    let from = Pipe::from(OwnedFd::from(stdout));
    let ends = Ends { from, to: Pipe::from(OwnedFd::from(stdin)) };
    let stderr = process_stderr.map(|stderr| Pipe::from(OwnedFd::from(stderr)));
    Ok(Started { child, ends, stderr })
}

/// A program with its arguments, to be started as planned.
fn command(plan: &Plan<'_>, program: &OsStr, args: &[OsString]) -> Command {
    let mut command = Command::new(program);
    let stderr = if plan.stderr { Stdio::piped() } else { Stdio::inherit() };
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(OUR_VARIABLES.as_bytes()) {
            command.env_remove(name);
        }
    }
    command.envs(plan.env.iter().map(|(name, value)| (name, value)));
    if let Some(cwd) = plan.cwd {
        command.current_dir(cwd);
    }
    if plan.own_group {
        command.process_group(0);
    }
    command
}

/// The path of a script that the kernel does not take for a program, because its `#!` is missing: who
/// starts programs by `execvp` (Node, shells) has the shell read it, and std does only sometimes.
fn script(plan: &Plan<'_>, program: &OsStr, error: &io::Error) -> Option<OsString> {
    if error.raw_os_error() != Some(Errno::NOEXEC.raw_os_error()) {
        return None;
    }
    let path = if program.as_encoded_bytes().contains(&b'/') {
        PathBuf::from(program)
    } else {
        let set = plan.env.iter().rev().find(|(name, _)| name == "PATH");
        let path = set.map(|(_, value)| value.into()).or_else(|| std::env::var_os("PATH"));
        let found = |path: &PathBuf| is_executable(&at(plan, path));
        std::env::split_paths(&path?).map(|folder| folder.join(program)).find(found)?
    };
    is_text(&at(plan, &path)).then(|| path.into_os_string())
}

/// Says where the child finds a path.
fn at(plan: &Plan<'_>, path: &Path) -> PathBuf {
    plan.cwd.map_or_else(|| path.to_owned(), |cwd| cwd.join(path))
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Says whether a shell would read a file as a script: not a program for another machine (POSIX, `sh`: no NUL in its
/// first line).
fn is_text(path: &Path) -> bool {
    const LOOK: u64 = 256;
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LOOK).read_to_end(&mut head));
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    read.is_ok() && !line.contains(&0)
}

impl Child {
    /// Sends a signal to the child, or to its whole group if that is its own.
    pub(super) fn signal(&self, signal: Signal) {
        let signal = by_number(signal);
        let sent = match self.own_group {
            true => rustix::process::kill_process_group(self.pid, signal),
            false => rustix::process::kill_process(self.pid, signal),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a signal did not reach the child");
        }
    }

    /// Says whether it is in a process group of its own.
    pub(super) fn has_own_group(&self) -> bool {
        self.own_group
    }

    /// A function that blocks until the child has exited and leaves it to be reaped.
    pub(super) fn exited(&self) -> impl FnOnce() + Send + 'static {
        let pid = self.pid;
        move || loop {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            match rustix::process::waitid(WaitId::Pid(pid), options) {
                Err(error) if error == rustix::io::Errno::INTR => {}
                _ => return,
            }
        }
    }

    /// Takes how it ended. A child that cannot even be killed counts as killed; one of which nothing is known
    /// any more, because somebody else reaped it, as failed.
    pub(super) fn reap(mut self) -> Exit {
        match self.process.try_wait() {
            Ok(Some(status)) => exit(status),
            Ok(None) => Exit::Signal(rustix::process::Signal::KILL.as_raw()),
            Err(_) => Exit::Code(1),
        }
    }
}

/// Has the kernel leave ended children to be reaped: it does not where SIGCHLD is ignored, and whoever started
/// us may have ignored it. After the child's start, because it inherits what is ignored.
fn hear_of_its_end() {
    if let Err(error) = signal_hook::flag::register(SIGCHLD, Arc::default()) {
        tracing::debug!(%error, "cannot listen to SIGCHLD");
    }
}

fn by_number(signal: Signal) -> rustix::process::Signal {
    match signal {
        Signal::HangUp => rustix::process::Signal::HUP,
        Signal::Interrupt => rustix::process::Signal::INT,
        Signal::Quit => rustix::process::Signal::QUIT,
        Signal::User1 => rustix::process::Signal::USR1,
        Signal::User2 => rustix::process::Signal::USR2,
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::WindowChange => rustix::process::Signal::WINCH,
        Signal::Kill => rustix::process::Signal::KILL,
    }
}

fn exit(status: ExitStatus) -> Exit {
    let signal = status.signal().map(Exit::Signal);
    signal.or(status.code().map(Exit::Code)).unwrap_or(Exit::Code(1))
}

impl From<OwnedFd> for Pipe {
    fn from(fd: OwnedFd) -> Self {
        Pipe(File::from(fd))
    }
}

impl Pipe {
    /// An input that reads from it. One that can be closed asks the kernel before each read whether it
    /// was, because a read that blocks cannot be called back.
    pub(super) fn closable(self, closable: bool) -> io::Result<(Input, Option<Closer>)> {
        if !closable {
            return Ok((Input::Plain(self), None));
        }
        let (closed, pipe) = io::pipe()?;
        Ok((Input::Closable(self, closed), Some(Closer { _pipe: pipe })))
    }

    /// Waits until there is something to be read, or its end.
    pub(super) fn wait_for_something(&self) -> io::Result<()> {
        self.wait(PollFlags::IN)
    }

    /// Says whether there are bytes to be read, or may be.
    pub(super) fn has_something(&self) -> bool {
        let mut one = [PollFd::new(&self.0, PollFlags::IN)];
        let polled = poll(&mut one, Some(&Timespec::default()));
        polled.is_err() || one[0].revents().contains(PollFlags::IN)
    }

    fn wait(&self, until: PollFlags) -> io::Result<()> {
        poll(&mut [PollFd::new(&self.0, until)], None)?;
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buffer)
    }
}

impl Read for &Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match (&self.0).read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::IN)?,
                read => return read,
            }
        }
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (pipe, closed) = match self {
            Input::Plain(pipe) => return pipe.read(buffer),
            Input::Closable(pipe, closed) => (pipe, closed),
        };
        let mut either = [PollFd::new(closed, PollFlags::IN), PollFd::new(&pipe.0, PollFlags::IN)];
        poll(&mut either, None)?;
        let [closed, _] = either.map(|one| !one.revents().is_empty());
        if closed { Ok(0) } else { pipe.read(buffer) }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(PollFlags::OUT)?,
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
