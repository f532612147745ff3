//! Who yields to whom (Linux, where niceness belongs to threads): telemetry to the traffic, the traffic to
//! nobody.

use std::fs;

use rustix::process::{Signal, getpriority_process, setpriority_process};

use super::tap::{Tap, tap};
use crate::origin::Origin;
use crate::process::eventually;

#[test]
fn forwarding_keeps_the_priority_that_mcpcol_was_started_with() {
    forwarding_and_telemetry();
}

#[test]
fn telemetry_yields_also_where_mcpcol_was_started_at_a_low_priority() {
    // The niceness of this thread alone, and of what it starts.
    let begun = std::thread::spawn(|| {
        setpriority_process(None, getpriority_process(None).unwrap() + 5).unwrap();
        forwarding_and_telemetry();
    });
    begun.join().unwrap();
}

fn forwarding_and_telemetry() {
    let origin = Origin::echo();
    let mut tap = tap(&origin.url(), "");
    check(&tap);
    // A receiver that a reload puts in place is started while telemetry runs.
    tap.rewrite(&format!("[{{ upstream: \"{}\", name: other }}]", origin.url()), "");
    tap.signal(Signal::HUP);
    tap.said("reloaded");
    check(&tap);
}

fn check(tap: &Tap) {
    assert_eq!(tap.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
    let ours = i64::from(getpriority_process(None).unwrap());
    let of = |name: &str| -> Vec<i64> {
        niceness(tap).into_iter().filter(|(n, _)| n.starts_with(name)).map(|(_, n)| n).collect()
    };
    let forwarding = of("http-");
    assert!(forwarding.len() >= 2, "a worker and the acceptor");
    assert!(forwarding.iter().all(|nice| *nice == ours), "{ours}: {:?}", niceness(tap));
    for telemetry in ["observer", "telemetry"] {
        eventually("telemetry has lowered its own", || {
            let nice = of(telemetry);
            !nice.is_empty() && nice.iter().all(|nice| *nice > ours)
        });
    }
}

/// Names and niceness of the tap's threads.
fn niceness(tap: &Tap) -> Vec<(String, i64)> {
    let threads = fs::read_dir(format!("/proc/{}/task", tap.pid())).unwrap();
    let of_one = |thread: fs::DirEntry| {
        // A thread may end while we look.
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        let stat = fs::read_to_string(thread.path().join("stat")).ok()?;
        // After the name, which may hold anything: state, and with it the fields from the third on.
        let nice = stat.rsplit(')').next()?.split_whitespace().nth(16)?.parse().ok()?;
        Some((name.trim().to_owned(), nice))
    };
    threads.filter_map(|thread| of_one(thread.ok()?)).collect()
}
