//! Reads the imports and says when a room uses one that is not below it, or a module one that is declared
//! after it (`order`).
//!
//! The floors are the contract of ARCHITECTURE.md; a violation names file and line.

#![allow(clippy::unwrap_used)]

#[path = "house/order.rs"]
mod order;

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms and their floors. A room may use rooms on lower floors, and itself.
const FLOORS: &[(&str, u8)] = &[
    ("json", 0),
    ("metrics", 1),
    ("otlp", 1),
    ("privacy", 1),
    ("telemetry", 2),
    ("calls", 3),
    ("mcp", 3),
    ("slo", 3),
    ("settings", 4),
    ("http", 5),
    ("pipeline", 5),
    ("receivers", 6),
    ("processors", 6),
    ("exporters", 6),
    ("extensions", 6),
    ("config", 7),
    ("cli", 8),
];

/// Rooms that are pure: no I/O, no runtime, no clock.
const PURE: &[&str] = &["json", "otlp", "calls", "mcp", "privacy", "slo"];
/// What a pure room may not name.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "Instant::now",
    "SystemTime::now",
    "tokio::",
];

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Every file with the room it belongs to; files directly in `src` belong to none.
fn files() -> Vec<(String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    let room = |path: &Path| {
        let inside = path.strip_prefix(&src).unwrap().to_owned();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap().to_owned();
        first.trim_end_matches(".rs").to_owned()
    };
    paths.into_iter().map(|path| (room(&path), path)).collect()
}

/// The rooms that a line of code names, as `crate::room` or `mcpcol::room`, grouped imports included.
fn rooms_named(line: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for prefix in ["crate::", "mcpcol::"] {
        for (at, _) in line.match_indices(prefix) {
            let rest = &line[at + prefix.len()..];
            let group = rest.strip_prefix('{').and_then(|g| g.split('}').next());
            let names = group.map_or_else(|| vec![rest], |g| g.split(',').collect());
            let word = |name: &'_ str| -> usize {
                name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len())
            };
            out.extend(names.into_iter().map(str::trim).map(|name| &name[..word(name)]));
        }
    }
    out
}

fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn every_room_uses_lower_floors_only() {
    let mut broken = Vec::new();
    for (room, path) in files() {
        let Some(own) = floor(&room) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        for (line_no, line) in code_lines(&text) {
            for used in rooms_named(line) {
                let Some(other) = floor(used) else { continue };
                if used != room && other >= own {
                    broken.push(format!("{}:{line_no}: {room} uses {used}", path.display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_file_is_in_a_room_of_the_house() {
    let known = |room: &str| floor(room).is_some() || ["main", "lib"].contains(&room);
    let strangers: Vec<_> =
        files().into_iter().filter(|(room, _)| !known(room)).map(|(_, path)| path).collect();
    assert!(strangers.is_empty(), "no floor for {strangers:?}");
}

#[test]
fn pure_rooms_do_no_io_and_have_no_clock() {
    let mut broken = Vec::new();
    for (room, path) in files() {
        if !PURE.contains(&room.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (line_no, line) in code_lines(&text) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{}:{line_no}: {room} names {word}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_groups_and_paths() {
    assert_eq!(rooms_named("use crate::{json, mcp::Session};"), ["json", "mcp"]);
    assert_eq!(rooms_named("    crate::telemetry::Clock::start()"), ["telemetry"]);
    assert_eq!(rooms_named("use std::fs;"), [""; 0]);
}
