//! A stdio server for tests of ends: it does what it is told to, when it is told to, and tells what
//! happens to it.
//!
//! `puppet FIFO [PARENT]` answers every line that has an `"id":N`, those with `hold` in them when it is told. Each
//! byte of the FIFO is an order: `a` answers the oldest held line, `x` exits with 0. On its stdout it says
//! `ready`, `orphaned` once its parent is not the process PARENT any more, `told N` for each signal but
//! SIGKILL, and `eof` at the end of its input; none of these ends it. It ends when its stdout has no
//! reader, and by itself after a minute.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read, Write};
use std::process::exit;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;

/// Longer than any test waits; then nothing is left behind even if a test fails.
const LIFE: Duration = Duration::from_secs(60);
/// How often the parent is looked at.
const LOOK: Duration = Duration::from_millis(5);

fn main() -> io::Result<()> {
    let orders = std::env::args_os().nth(1).ok_or(io::ErrorKind::InvalidInput)?;
    let heard = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];
    let mut signals = Signals::new(heard)?;
    let held = Arc::new(Mutex::new(VecDeque::new()));
    let holding = Arc::clone(&held);
    thread::spawn(move || signals.forever().for_each(|signal| say(&format!("told {signal}"))));
    thread::spawn(move || {
        let mut lines = io::stdin().lock().lines();
        while let Some(Ok(line)) = lines.next() {
            match line.contains("hold") {
                true => holding.lock().unwrap_or_else(PoisonError::into_inner).push_back(line),
                false => answer(&line),
            }
        }
        say("eof");
    });
    thread::spawn(move || {
        let until = Instant::now() + LIFE;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            thread::park_timeout(left);
        }
        exit(99);
    });
    say("ready");
    if let Some(parent) = std::env::args().nth(2).and_then(|pid| pid.parse::<u32>().ok()) {
        thread::spawn(move || {
            while std::os::unix::process::parent_id() == parent {
                thread::park_timeout(LOOK);
            }
            say("orphaned");
        });
    }
    // Opened for writing too, so that it has no end of its own.
    let mut orders = std::fs::File::options().read(true).write(true).open(orders)?;
    let mut order = [0];
    while orders.read_exact(&mut order).is_ok() {
        match order[0] {
            b'a' => {
                let line = held.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                line.iter().for_each(|line| answer(line));
            }
            _ => exit(0),
        }
    }
    Ok(())
}

fn answer(line: &str) {
    let Some((_, rest)) = line.split_once("\"id\":") else { return };
    let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
    say(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}"));
}

fn say(line: &str) {
    let mut stdout = io::stdout().lock();
    if writeln!(stdout, "{line}").and_then(|()| stdout.flush()).is_err() {
        exit(98);
    }
}
