//! Files of log records in a directory of their own, read as the command reads them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::fd::AsFd;
use std::path::Path;

use super::*;
use crate::cli::records::backwards;
use crate::cli::records::ends::Ends;
use crate::cli::records::record::{self, Record};

/// A line with records of that server: time in milliseconds and text of each.
fn line(server: &str, records: &[(u64, &str)]) -> String {
    let record = |(time, text): &(u64, &str)| {
        format!(
            r#"{{"timeUnixNano":"{}","severityNumber":17,"body":{{"stringValue":"{text}"}},"attributes":[{{"key":"log.iostream","value":{{"stringValue":"stderr"}}}}]}}"#,
            1_000_000 * time
        )
    };
    let records: Vec<_> = records.iter().map(record).collect();
    format!(
        "{{\"resourceLogs\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"mcpcol.server.name\",\"value\":{{\"stringValue\":\"{server}\"}}}}]}},\"scopeLogs\":[{{\"logRecords\":[{}]}}]}}]}}\n",
        records.join(",")
    )
}

fn reading(server: Option<&str>) -> Reading {
    Reading::new(server.map(str::to_owned))
}

/// The texts of the newest records, and what was strange.
fn newest(places: &[PathBuf], n: usize, server: Option<&str>) -> (Vec<String>, u64) {
    let mut reading = reading(server);
    let mut newest = Newest::new(n);
    reading.newest_of(places, sources::list(places, Kind::Logs).files, false, &mut newest);
    (texts(newest.into_sorted()), reading.strange())
}

fn texts(records: Vec<Record>) -> Vec<String> {
    records.into_iter().map(|record| record.text).collect()
}

/// `-f` whose looks are made by hand; it has read what is there.
struct Following {
    places: Vec<PathBuf>,
    ends: Ends,
    reading: Reading,
}

impl Following {
    fn of(places: &[PathBuf]) -> Self {
        let mut reading = reading(None);
        let files = sources::list(places, Kind::Logs).files;
        let ends = reading.newest_of(places, files, true, &mut Newest::new(0));
        Following { places: places.to_owned(), ends, reading }
    }

    fn look(&mut self) -> Vec<String> {
        texts(follow::more(&self.places, &mut self.ends, &mut self.reading))
    }
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn the_newest_of_all_files_come_in_order_of_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    append(&path("a.logs.jsonl.1"), &line("a", &[(1, "one"), (3, "three")]));
    append(&path("a.logs.jsonl"), &line("a", &[(5, "five")]));
    append(&path("b.logs.jsonl"), &line("b", &[(2, "two"), (4, "four")]));
    append(&path("a.jsonl"), &line("a", &[(9, "no file of records")]));
    let dir = [dir.path().to_owned()];
    assert_eq!(newest(&dir, 10, None).0, ["one", "two", "three", "four", "five"]);
    assert_eq!(newest(&dir, 2, None).0, ["four", "five"]);
    assert_eq!(newest(&dir, 0, None).0, [""; 0]);
    assert_eq!(newest(&dir, 10, Some("b")).0, ["two", "four"]);
    // A file brings what it was rotated to, and no file is read twice.
    let file = [path("a.logs.jsonl"), path("a.logs.jsonl")];
    assert_eq!(newest(&file, 10, None).0, ["one", "three", "five"]);
}

#[test]
fn a_torn_last_line_is_no_error_and_one_in_the_middle_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.logs.jsonl");
    let whole = line("a", &[(1, "one")]);
    append(&path, &format!("{whole}{}", &whole[..30]));
    assert_eq!(newest(std::slice::from_ref(&path), 10, None), (vec!["one".to_owned()], 0));
    append(&path, &format!("\n{}", whole.trim_end()));
    let both = vec!["one".to_owned(), "one".to_owned()];
    assert_eq!(newest(&[path], 10, None), (both, 1));
}

#[test]
fn what_is_added_is_followed_through_rotation_and_into_new_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.logs.jsonl");
    let places = [dir.path().to_owned()];
    append(&path, &line("a", &[(1, "before")]));
    append(&path, &line("a", &[(2, "torn")])[..20]);
    let mut following = Following::of(&places);
    assert_eq!(following.look(), [""; 0]);
    append(&path, &line("a", &[(2, "torn")])[20..]);
    assert_eq!(following.look(), ["torn"]);
    append(&path, &line("a", &[(3, "three")]));
    fs::rename(&path, dir.path().join("a.logs.jsonl.1")).unwrap();
    append(&path, &line("a", &[(5, "five")]));
    append(&dir.path().join("b.logs.jsonl"), &line("b", &[(4, "four")]));
    assert_eq!(following.look(), ["three", "four", "five"]);
    fs::write(&path, line("a", &[(6, "emptied and written anew")]).replace(" and", "")).unwrap();
    fs::remove_file(&path).unwrap();
    append(&path, &line("a", &[(7, "s")]));
    assert_eq!(following.look(), ["s"]);
    assert_eq!((following.look(), following.reading.strange()), (Vec::new(), 0));
}

#[test]
fn a_name_that_is_missing_for_a_while_makes_nothing_old_new() {
    let dir = tempfile::tempdir().unwrap();
    let (path, rotated) = (dir.path().join("d.logs.jsonl"), dir.path().join("d.logs.jsonl.1"));
    append(&path, &line("d", &[(1, "old"), (2, "older")]));
    for places in [[path.clone()], [dir.path().to_owned()]] {
        let mut following = Following::of(&places);
        fs::rename(&path, &rotated).unwrap();
        assert_eq!(following.look(), [""; 0]);
        append(&rotated, &line("d", &[(3, "late")]));
        assert_eq!(following.look(), ["late"]);
        append(&path, &line("d", &[(4, "fresh")]));
        assert_eq!(following.look(), ["fresh"]);
        append(&rotated, &line("d", &[(5, "later")]));
        assert_eq!(following.look(), ["later"]);
        // All of it may be gone for a while.
        let away = dir.path().join("away");
        fs::create_dir(&away).unwrap();
        fs::rename(&path, away.join("x")).unwrap();
        fs::rename(&rotated, away.join("y")).unwrap();
        assert_eq!(following.look(), [""; 0]);
        fs::rename(away.join("x"), &path).unwrap();
        fs::rename(away.join("y"), &rotated).unwrap();
        fs::remove_dir(&away).unwrap();
        assert_eq!(following.look(), [""; 0]);
    }
}

#[test]
fn a_file_that_is_between_rotation_and_its_next_record_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.logs.jsonl");
    append(&dir.path().join("d.logs.jsonl.3"), &line("d", &[(1, "one")]));
    let found = sources::list(std::slice::from_ref(&path), Kind::Logs);
    assert_eq!((found.files.len(), found.failed.len()), (1, 0));
    assert_eq!(newest(&[path], 10, None).0, ["one"]);
}

#[test]
fn what_is_rotated_away_between_being_found_and_opened_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.logs.jsonl");
    append(&path, &line("d", &[(1, "one")]));
    let places = [path.clone()];
    let found = sources::list(&places, Kind::Logs).files;
    fs::rename(&path, dir.path().join("d.logs.jsonl.1")).unwrap();
    append(&path, &line("d", &[(2, "two")]));
    let (mut reading, mut newest) = (reading(None), Newest::new(9));
    let mut ends = reading.newest_of(&places, found, true, &mut newest);
    assert_eq!(texts(newest.into_sorted()), ["one", "two"]);
    assert_eq!(texts(follow::more(&places, &mut ends, &mut reading)), [""; 0]);
}

#[test]
fn a_file_that_was_emptied_and_grew_again_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.logs.jsonl");
    append(&path, &line("d", &[(1, "old")]));
    let mut following = Following::of(std::slice::from_ref(&path));
    // A line of another length, one of the same, and several.
    let anew = [vec![(2, "first, and longer")], vec![(3, "again, and longer")]];
    for records in anew.into_iter().chain([vec![(4, "x"), (5, "y")]]) {
        fs::write(&path, records.iter().map(|one| line("d", &[*one])).collect::<String>()).unwrap();
        let expected: Vec<_> = records.iter().map(|(_, text)| *text).collect();
        assert_eq!((following.look(), following.reading.strange()), (expected_texts(&expected), 0));
    }
}

fn expected_texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_line_that_is_too_long_and_torn_is_counted_once_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("d.logs.jsonl");
    append(&path, &line("d", &[(1, "one")]));
    append(&path, &"x".repeat(backwards::MAX_LINE + 1));
    assert_eq!(newest(std::slice::from_ref(&path), 9, None), (expected_texts(&["one"]), 1));
    let mut following = Following::of(std::slice::from_ref(&path));
    assert_eq!((following.look(), following.reading.strange()), (Vec::new(), 0));
    append(&path, &format!("\n{}", line("d", &[(2, "two")])));
    assert_eq!((following.look(), following.reading.strange()), (expected_texts(&["two"]), 1));
}

#[test]
fn a_fifo_is_read_as_a_stream() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let found = sources::list(&[fifo.clone(), "-".into(), dir.path().to_owned()], Kind::Logs);
    assert_eq!((found.streams, found.files.len()), (vec![fifo.clone(), "-".into()], 0));
    let to = fifo.clone();
    let writer = std::thread::spawn(move || fs::write(to, line("a", &[(1, "one")])).unwrap());
    let mut all = Vec::new();
    let out = tempfile::tempfile().unwrap();
    let each = |records| {
        all.extend(texts(records));
        Ok(())
    };
    reading(None).stream(&fifo, out.as_fd(), each).unwrap();
    writer.join().unwrap();
    assert_eq!(all, ["one"]);
}

#[test]
fn what_is_no_record_is_passed_over_and_counted() {
    let whole = line("a", &[(1, "bad"), (2, "good")]);
    let bad = [
        (r#""body":{"stringValue":"bad"}"#, r#""body":"bad""#),
        (r#""body":{"stringValue":"bad"}"#, r#""body":{"stringValue":7}"#),
        (r#""body":{"stringValue":"bad"}"#, r#""body":{"intValue":"seven"}"#),
        (r#""body":{"stringValue":"bad"}"#, r#""body":{"text":"bad"}"#),
        (r#""timeUnixNano":"1000000""#, r#""timeUnixNano":"yesterday""#),
        (r#""timeUnixNano":"1000000""#, r#""timeUnixNano":-1"#),
        (r#""timeUnixNano":"1000000""#, r#""timeUnixNano":"1","observedTimeUnixNano":{}"#),
        (r#""logRecords":["#, r#""logRecords":[null,"#),
    ];
    for (from, to) in bad {
        let read = record::read(whole.replacen(from, to, 1).as_bytes()).unwrap();
        assert_eq!((read.records.last().unwrap().text.as_str(), read.strange), ("good", 1), "{to}");
    }
    for line in [r#"{"resourceLogs":{}}"#, r#"{"resourceLogs":[{"scopeLogs":[7]}]}"#] {
        assert_eq!(record::read(line.as_bytes()).unwrap().strange, 1, "{line}");
    }
    assert_eq!(record::read(br#"{"level":"info","msg":"another format"}"#), None);
    assert_eq!(record::read(br#"{"resourceSpans":[]}"#), Some(record::Read::default()));
    // What is not known is no error, nor is a value of any kind.
    for body in [
        "null",
        "{}",
        r#"{"intValue":null}"#,
        r#"{"intValue":"7"}"#,
        r#"{"arrayValue":{"values":[]}}"#,
    ] {
        let line = whole.replacen(r#"{"stringValue":"bad"}"#, body, 1);
        let read = record::read(line.replacen("timeUnixNano", "t", 1).as_bytes()).unwrap();
        assert_eq!((read.records.len(), read.strange), (2, 0), "{body}");
    }
}

#[test]
fn a_stream_is_read_to_its_end() {
    let mut reading = reading(None);
    let text =
        format!("{}no json\n\n{}", line("a", &[(1, "one")]), line("a", &[(2, "two")]).trim());
    let mut texts = Vec::new();
    let each = |records: Vec<Record>| {
        texts.extend(records.into_iter().map(|record| record.text));
        Ok(())
    };
    reading.each_line(Path::new("-"), text.as_bytes(), each).unwrap();
    assert_eq!((texts, reading.strange()), (vec!["one".to_owned(), "two".to_owned()], 1));
}

#[test]
fn what_is_not_there_is_said_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.logs.jsonl"), &line("a", &[(1, "one")]));
    let none = dir.path().join("none");
    let found = sources::list(&[none.clone(), dir.path().to_owned()], Kind::Logs);
    assert_eq!((found.files.len(), &found.failed[0].0, found.failed.len()), (1, &none, 1));
}

fn printed(format: Format, colours: bool, records: &[Record]) -> String {
    let mut out = Vec::new();
    Page::new(&mut out, format, colours).print(records).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_record_is_one_line_whatever_is_in_it() {
    let text = r"bad \u001b[2J\r\nnews\u202e";
    let mut records = record::read(line("a\\u0007", &[(1_000, text)]).as_bytes()).unwrap().records;
    records.extend(record::read(line("longer", &[(1_001, "x")]).as_bytes()).unwrap().records);
    let expected = "1970-01-01T00:00:01.000Z  a\\u{7}  ERROR  stderr  bad \\u{1b}[2J\\r\\nnews\\u{202e}\n\
                    1970-01-01T00:00:01.001Z  longer  ERROR  stderr  x\n";
    assert_eq!(printed(Format::Text, false, &records), expected);
    let coloured = printed(Format::Text, true, &records);
    assert!(coloured.contains("  \u{1b}[31mERROR\u{1b}[0m  stderr"), "{coloured}");
    let json = printed(Format::Json, true, &records[1..]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["time"], "1970-01-01T00:00:01.001000000Z");
    assert_eq!((&json["server"], &json["source"]), (&"longer".into(), &"stderr".into()));
}

#[test]
fn a_finding_shows_its_kind_and_detail() {
    let line = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"mcpcol.server.name","value":{"stringValue":"s"}}]},
        "scopeLogs":[{"logRecords":[{"timeUnixNano":"0","observedTimeUnixNano":"2000000","severityNumber":13,
        "body":{"stringValue":"an answer to no request"},"eventName":"mcpcol.finding","traceId":"ab","attributes":[
        {"key":"mcpcol.finding.kind","value":{"stringValue":"orphan_answer"}},
        {"key":"mcpcol.finding.by","value":{"stringValue":"server"}},
        {"key":"mcpcol.finding.detail","value":{"stringValue":"id: text"}},
        {"key":"mcpcol.finding.count","value":{"intValue":"7"}}]}]}]}]}"#;
    let records = record::read(line.as_bytes()).unwrap().records;
    let expected = "1970-01-01T00:00:00.002Z  s  WARN   orphan_answer  an answer to no request \
                    (by server, id: text, 7 of them)\n";
    assert_eq!(printed(Format::Text, false, &records), expected);
    let json = records[0].json();
    assert_eq!((&json["finding"], &json["trace_id"]), (&"orphan_answer".into(), &"ab".into()));
    assert_eq!(record::read(b"{}"), Some(record::Read::default()));
    assert_eq!(record::read(b"[]"), None);
}
