//! A server that tells which signals reach it, and from whom: a line a signal, `INT kernel` or `INT sent`.
//! First comes `ready`, its process and its parent's. It ends with its stdin.
//!
//! `signals [-HUP]...`: what is named is not listened to.

use std::io::{self, Write};
use std::os::unix::process::parent_id;
use std::process;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::siginfo::Cause;

const NAMES: [(i32, &str); 7] = [
    (SIGHUP, "HUP"),
    (SIGINT, "INT"),
    (SIGQUIT, "QUIT"),
    (SIGUSR1, "USR1"),
    (SIGUSR2, "USR2"),
    (SIGTERM, "TERM"),
    (SIGWINCH, "WINCH"),
];

fn main() -> io::Result<()> {
    let left_alone: Vec<_> = std::env::args().skip(1).collect();
    let heard = NAMES.iter().filter(|(_, name)| !left_alone.contains(&format!("-{name}")));
    let mut signals = SignalsInfo::<WithOrigin>::new(heard.map(|(number, _)| number))?;
    tell(&format!("ready {} {}", process::id(), parent_id()))?;
    thread::spawn(|| {
        io::copy(&mut io::stdin(), &mut io::sink()).ok();
        process::exit(0);
    });
    for origin in &mut signals {
        let name = NAMES.iter().find(|(number, _)| *number == origin.signal);
        let from = if origin.cause == Cause::Kernel { "kernel" } else { "sent" };
        tell(&format!("{} {from}", name.map_or("?", |(_, name)| name)))?;
    }
    Ok(())
}

fn tell(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
