//! Files of log records in a directory of their own, read as the command reads them.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;

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
    Reading { server: server.map(str::to_owned), strange: 0, unreadable: false }
}

/// The texts of the newest records, and what was strange.
fn newest(places: &[PathBuf], n: usize, server: Option<&str>) -> (Vec<String>, u64) {
    let mut reading = reading(server);
    let files = reading.files(places, true);
    let mut newest = Newest::new(n);
    reading.newest_of(files, false, &mut newest);
    let texts = newest.into_sorted().into_iter().map(|record| record.text).collect();
    (texts, reading.strange)
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
    let mut reading = reading(None);
    let files = reading.files(&places, true);
    let mut ends = reading.newest_of(files, true, &mut Newest::new(0));
    let mut more = |reading: &mut Reading| -> Vec<String> {
        let records = follow::more(&places, &mut ends, reading);
        records.into_iter().map(|record| record.text).collect()
    };
    assert_eq!(more(&mut reading), [""; 0]);
    append(&path, &line("a", &[(2, "torn")])[20..]);
    assert_eq!(more(&mut reading), ["torn"]);
    append(&path, &line("a", &[(3, "three")]));
    fs::rename(&path, dir.path().join("a.logs.jsonl.1")).unwrap();
    append(&path, &line("a", &[(5, "five")]));
    append(&dir.path().join("b.logs.jsonl"), &line("b", &[(4, "four")]));
    assert_eq!(more(&mut reading), ["three", "four", "five"]);
    fs::write(&path, line("a", &[(6, "emptied and written anew")]).replace(" and", "")).unwrap();
    fs::remove_file(&path).unwrap();
    append(&path, &line("a", &[(7, "s")]));
    assert_eq!(more(&mut reading), ["s"]);
    assert_eq!((more(&mut reading), reading.strange), (Vec::new(), 0));
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
    reading.each_line(text.as_bytes(), each).unwrap();
    assert_eq!((texts, reading.strange), (vec!["one".to_owned(), "two".to_owned()], 1));
}

#[test]
fn what_is_not_there_is_said_and_the_rest_is_read() {
    let dir = tempfile::tempdir().unwrap();
    append(&dir.path().join("a.logs.jsonl"), &line("a", &[(1, "one")]));
    let mut reading = reading(None);
    let files = reading.files(&[dir.path().join("none"), dir.path().to_owned()], true);
    assert_eq!((files.len(), reading.unreadable), (1, true));
}

fn printed(format: Format, colours: bool, records: &[Record]) -> String {
    let mut out = Vec::new();
    Page::new(&mut out, format, colours).print(records).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_record_is_one_line_whatever_is_in_it() {
    let text = r"bad \u001b[2J\r\nnews\u202e";
    let mut records = record::read(line("a\\u0007", &[(1_000, text)]).as_bytes()).unwrap();
    records.extend(record::read(line("longer", &[(1_001, "x")]).as_bytes()).unwrap());
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
    let records = record::read(line.as_bytes()).unwrap();
    let expected = "1970-01-01T00:00:00.002Z  s  WARN   orphan_answer  an answer to no request \
                    (by server, id: text, 7 of them)\n";
    assert_eq!(printed(Format::Text, false, &records), expected);
    let json = records[0].json();
    assert_eq!((&json["finding"], &json["trace_id"]), (&"orphan_answer".into(), &"ab".into()));
    assert_eq!(record::read(b"{}"), Some(Vec::new()));
    assert_eq!(record::read(b"[]"), None);
}
