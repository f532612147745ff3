//! Reloads while telemetry comes in: nothing is lost, nothing is there twice, and nothing stays open.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;

use crate::client::Client;
use crate::process::{Log, eventually, mcpcol, signal};
use crate::spans::spans_in;

/// A configuration; every second one has another exporter and another processor.
fn config(n: usize) -> String {
    let (file, processor) = [("a", "redaction"), ("b", "digest")][n % 2];
    format!(
        "receivers: {{ otlp: {{ protocols: {{ http: {{ endpoint: '127.0.0.1:0' }} }} }} }}\n\
         processors: {{ {processor}: {{}} }}\n\
         exporters: {{ file/{file}: {{ path: {file}.jsonl }}, nop: {{}} }}\n\
         service:\n  telemetry: {{ metrics: {{ level: none }} }}\n  pipelines:\n    \
         traces: {{ receivers: [otlp], processors: [{processor}], exporters: [file/{file}, nop] }}\n"
    )
}

/// Sends requests of spans that are numbered by their names, until told to stop; how many spans were taken.
fn send(address: &str, stop: &AtomicBool) -> usize {
    let mut client = Client::to(address);
    let mut taken = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut spans = String::new();
        for n in taken..taken + 5 {
            let comma = if n == taken { "" } else { "," };
            write!(
                spans,
                r#"{comma}{{"traceId":"{:032x}","spanId":"{:016x}","name":"n{n}","startTimeUnixNano":"1","endTimeUnixNano":"2"}}"#,
                n + 1,
                n + 1
            )
            .unwrap();
        }
        let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#);
        client.send(format!(
            "POST /v1/traces HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ));
        // What is turned back comes again, as senders do it.
        match client.answer().status {
            200 => taken += 5,
            503 => {}
            status => panic!("{status}"),
        }
    }
    taken
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn times(dir: &Path) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for file in ["a.jsonl", "b.jsonl"] {
        for span in spans_in(&dir.join(file)) {
            *times.entry(span["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    times
}

fn reload_under_traffic(reloads: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.yaml");
    fs::write(&path, config(0)).unwrap();
    let mut command = mcpcol(dir.path());
    command.current_dir(dir.path()).args(["run", "--config", "config.yaml"]).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut log = Log::of(&mut child);
    let address = log.address("for OTLP over HTTP");
    let stop = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send(&address, &stop));
        let mut settled = 0;
        for n in 1..=reloads {
            fs::write(dir.path().join("new"), config(n)).unwrap();
            fs::rename(dir.path().join("new"), &path).unwrap();
            signal(&child, Signal::HUP);
            log.until("reloaded");
            if n == 10 {
                settled = descriptors(child.id());
            }
        }
        // What is retired closes its files once it has sent what it had.
        eventually("no descriptor is left", || descriptors(child.id()) <= settled + 3);
        stop.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    signal(&child, Signal::TERM);
    let said = log.all();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{said}");
    let times = times(dir.path());
    assert!(taken > reloads, "traffic went on: {taken}");
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "there more than once: {twice:?}");
    assert_eq!(times.len(), taken, "{said}");
}

#[test]
fn twenty_reloads_under_traffic_lose_and_double_nothing() {
    reload_under_traffic(20);
}

#[test]
#[ignore = "takes minutes"]
fn a_thousand_reloads_under_traffic_lose_and_double_nothing() {
    reload_under_traffic(1_000);
}
