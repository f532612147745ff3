//! One direction of the tap: read, hand a copy over, write on. A blocking thread of its own.
//!
//! The bytes pass verbatim and at once; a slow reader blocks the writer through us as it would through
//! a pipe. Both descriptors are dropped when either side is gone, so that end of file and broken pipe
//! travel as if the pipe were direct.

use std::io::{self, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::edits::{Edits, Lines};
use super::intake::{End, Intake};

/// Bytes that a pipe holds on Linux: larger reads would not be filled.
const READ: usize = 64 * 1024;

/// Says how far a relay has come, for somebody who wants to know whether it still moves: odd while it holds bytes that
/// are not written yet.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    /// A number that changes with every read and every write.
    pub(super) fn steps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Says whether the relay holds bytes that are not written yet.
    pub(super) fn holds(steps: u64) -> bool {
        steps % 2 == 1
    }

    fn step(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Relays until either side is gone and closes both. With `edits` line by line, else as it comes.
pub(super) fn relay(
    mut from: impl Read,
    mut to: impl Write,
    mut intake: Intake,
    edits: Option<Edits>,
    progress: &Progress,
) -> End {
    let end = match edits {
        None => relay_bytes(&mut from, &mut to, &mut intake, progress),
        Some(edits) => relay_lines(&mut from, &mut to, &mut intake, edits, progress),
    };
    let wake = observed(&mut intake, |intake| intake.eof(end, Instant::now()));
    drop((from, to));
    if wake {
        intake.wake();
    }
    end
}

fn relay_bytes(
    from: &mut impl Read,
    to: &mut impl Write,
    intake: &mut Intake,
    progress: &Progress,
) -> End {
    let mut buffer = vec![0; READ];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return End::Source,
            Ok(length) => &buffer[..length],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return End::Source,
        };
        let wake = observed(intake, |intake| intake.hand_over(read, Instant::now()));
        progress.step();
        let written = write_on(to, read);
        progress.step();
        // Waking after the write keeps the wake-up out of the message's way. While a write blocks the
        // observer may learn of it late, not never: it looks up by itself now and then.
        if wake {
            intake.wake();
        }
        if written.is_err() {
            return End::Sink;
        }
    }
}

/// Relays line by line, because lines may change on their way. A line is held until it is whole, the rest is not.
fn relay_lines(
    from: &mut impl Read,
    to: &mut impl Write,
    intake: &mut Intake,
    edits: Edits,
    progress: &Progress,
) -> End {
    let (mut buffer, mut lines) = (vec![0; READ], Lines::new(edits));
    loop {
        let read = match from.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        let forwarded = lines.take(&buffer[..read], |due| {
            let wake =
                observed(intake, |intake| intake.hand_over_pieces(due.originals(), Instant::now()));
            progress.step();
            let written = write_on(to, due.bytes());
            progress.step();
            if wake {
                intake.wake();
            }
            written
        });
        if forwarded.is_err() {
            return End::Sink;
        }
        if read == 0 {
            return End::Source;
        }
    }
}

fn write_on(to: &mut impl Write, read: &[u8]) -> io::Result<()> {
    to.write_all(read)?;
    to.flush()
}

/// Law 1, "our own bug" included: a panic in here ends observation, not traffic. Costs nothing until
/// then.
fn observed(intake: &mut Intake, act: impl FnOnce(&mut Intake) -> bool) -> bool {
    catch_unwind(AssertUnwindSafe(|| act(intake))).unwrap_or_else(|_| {
        intake.give_up();
        false
    })
}
