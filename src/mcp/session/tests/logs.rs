//! Log records of one connection: log notifications, lines of stderr, findings.

use super::*;
use crate::mcp::MAX_BODY;
use crate::mcp::testing::Record;

/// A session whose log records somebody wants.
fn logged() -> Tap {
    let mut tap = Tap::with(Settings { log_messages: true, ..Settings::default() });
    tap.session.want_logs(true);
    tap
}

fn records(tap: &mut Tap) -> Vec<Record> {
    Record::all(tap.session.take_logs())
}

fn log(tap: &mut Tap, params: &str) -> Record {
    tap.s(&format!(r#"{{"method":"notifications/message","params":{params}}}"#));
    records(tap).pop().unwrap()
}

#[test]
fn a_log_notification_becomes_a_record() {
    let mut tap = logged();
    let record = log(&mut tap, r#"{"level":"warning","logger":"db","data":"slow \u001b[1mquery"}"#);
    assert_eq!((record.body(), record.get(names::LOGGER)), ("slow query", "db"));
    assert_eq!((record.record.severity_number, &*record.record.severity_text), (13, "warning"));
    assert_eq!(record.get(names::SERVER_NAME), identity().server);
    assert_eq!(record.get(names::SESSION_ID), identity().session);
    assert_eq!(record.get(names::METHOD), "notifications/message");
    assert_eq!(record.record.time_unix_nano, tap.now);
    assert_eq!(record.record.observed_time_unix_nano, tap.now);
    assert_eq!((record.record.span_id.len(), &*record.record.event_name), (0, ""));
    assert_eq!(records(&mut tap).len(), 0);
}

#[test]
fn levels_are_those_of_the_logs_data_model_and_data_may_be_anything() {
    let mut tap = logged();
    for (level, number) in [
        ("debug", 5),
        ("info", 9),
        ("notice", 10),
        ("warning", 13),
        ("error", 17),
        ("critical", 18),
        ("alert", 19),
        ("emergency", 21),
        ("loud", 0),
    ] {
        let record = log(&mut tap, &format!(r#"{{"level":"{level}","data":1}}"#));
        assert_eq!((record.record.severity_number, record.body()), (number, "1"), "{level}");
        assert_eq!(record.record.severity_text.is_empty(), number == 0);
    }
    for (data, body) in [
        (r#""data":{"a": [1]}"#, r#"{"a": [1]}"#),
        (r#""data":null"#, "null"),
        (r#""data":"a\nb""#, "a\nb"),
        (r#""data":"""#, ""),
        (r#""logger":1"#, "-"),
    ] {
        let record = log(&mut tap, &format!("{{{data}}}"));
        assert_eq!((record.body(), record.get(names::OBSERVED)), (body, ""), "{data}");
    }
}

#[test]
fn a_record_names_the_call_where_there_can_be_but_one() {
    let mut tap = logged();
    let info = r#"{"level":"info","data":"x"}"#;
    tap.call(1);
    let alone = log(&mut tap, info);
    tap.call(2);
    assert_eq!(log(&mut tap, info).record.span_id.len(), 0, "of two, which?");
    tap.ok(1).ok(2);
    let spans = tap.spans();
    assert_eq!(alone.record.span_id, spans[0].span.span_id);
    assert_eq!((alone.record.trace_id, alone.record.flags), (spans[0].span.trace_id.clone(), 1));
    tap.gap(S).call(3);
    assert_eq!(log(&mut tap, info).record.span_id.len(), 0, "there may be calls nobody saw");
}

#[test]
fn long_data_is_cut_between_words_and_json_that_would_be_halved_is_not_kept() {
    let mut tap = logged();
    let words = format!("{} {}", "a".repeat(20), "b".repeat(MAX_BODY));
    let record = log(&mut tap, &format!(r#"{{"data":"{words}"}}"#));
    assert_eq!((record.body(), record.get(names::OBSERVED)), (&*"a".repeat(20), "cut"));
    let record = log(&mut tap, &format!(r#"{{"data":["{words}"]}}"#));
    assert_eq!((record.body(), record.get(names::OBSERVED)), ("-", "cut"));
    let whole = "c ".repeat(MAX_BODY / 2);
    let record = log(&mut tap, &format!(r#"{{"data":"{whole}"}}"#));
    assert_eq!((record.body().len(), record.get(names::OBSERVED)), (MAX_BODY, ""));
    assert_eq!(tap.session.counts().logs.cut, 2);
}

#[test]
fn nothing_is_made_that_nobody_wants_or_asked_for() {
    let message = r#"{"method":"notifications/message","params":{"level":"info","data":"x"}}"#;
    let mut tap = logged();
    tap.session.want_logs(false);
    tap.s(message).s("banner").session.stderr(b"x\n", 1);
    assert_eq!((records(&mut tap).len(), tap.session.counts().logs), (0, Default::default()));
    let mut tap = Tap::new();
    tap.session.want_logs(true);
    tap.s(message);
    assert_eq!(records(&mut tap).len(), 0);
    let mut tap = logged();
    tap.c(message);
    assert_eq!(records(&mut tap).len(), 0, "clients do not log this way");
}

#[test]
fn a_line_of_stderr_becomes_a_record_at_any_boundary() {
    let mut tap = logged();
    let text = b"\x1b[31mERROR\x1b[0m no such \xff file \r\n\n  \nsecond";
    for chunk in text.chunks(3) {
        tap.session.stderr(chunk, 7);
    }
    let first = records(&mut tap);
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].body(), "ERROR no such \u{fffd} file");
    assert_eq!((first[0].record.severity_number, first[0].get(names::IOSTREAM)), (17, "stderr"));
    assert_eq!(first[0].get(names::SESSION_ID), identity().session);
    tap.session.end(8);
    let last = records(&mut tap);
    assert_eq!((last[0].body(), last[0].record.severity_number), ("second", 0));
    assert_eq!((last[0].get(names::METHOD), last[0].record.time_unix_nano), ("", 8));
}

#[test]
fn a_long_line_is_cut_and_a_torn_one_is_left_out() {
    let mut tap = logged();
    tap.session.stderr(format!("head {}\n", "x".repeat(3 * MAX_BODY)).as_bytes(), 1);
    let record = records(&mut tap).pop().unwrap();
    assert_eq!((record.body(), record.get(names::OBSERVED)), ("head", "cut"));
    tap.session.stderr(b"begun", 1);
    tap.session.stderr_gap(3);
    tap.session.stderr(b"half\nwhole\n", 2);
    let record = records(&mut tap);
    assert_eq!(
        (record.len(), record[0].body(), record[0].get(names::LOG_DROPPED)),
        (1, "whole", "3")
    );
    assert_eq!(tap.session.counts().logs.gap, 3);
}

#[test]
fn a_flood_is_bounded_and_the_next_record_says_what_was_dropped() {
    let mut tap = logged();
    tap.session.stderr("x\n".repeat(1500).as_bytes(), SECOND);
    assert!(tap.session.ready() >= 512, "it is time to take them");
    assert_eq!(records(&mut tap).len(), 1000);
    tap.session.stderr(b"later\n", 2 * SECOND);
    assert_eq!(records(&mut tap)[0].get(names::LOG_DROPPED), "500");
    let counts = tap.session.counts().logs;
    assert_eq!((counts.records, counts.rate), (1001, 500));
    // Findings have a bound of their own.
    tap.session.stderr("x\n".repeat(1500).as_bytes(), 2 * SECOND);
    tap.s("banner");
    assert!(records(&mut tap).iter().any(|record| record.record.event_name == names::FINDING));
}

#[test]
fn what_is_wrong_on_the_wire_is_found() {
    let mut tap = logged();
    tap.s("hello, world").s(r#"{"a":1}"#).s(r#"{"id":null,"method":"x"}"#);
    tap.s(r#"{"jsonrpc":"1.0","id":1,"result":{}}"#).s(r#"{"id":1,"result":7}"#);
    tap.s(r#"{"id":"nobody","result":{}}"#).s(r#"{"result":{}}"#);
    tap.c("not json").c(r#"[1]"#);
    let found = records(&mut tap);
    let found: Vec<_> = found.iter().map(Record::finding).collect();
    assert_eq!(
        found,
        [
            ["not_json", "server", "12 bytes"],
            ["not_rpc", "server", "neither method nor result nor error"],
            ["not_rpc", "server", "id is neither text nor number"],
            ["unreadable_answer", "server", "jsonrpc is not 2.0"],
            ["unreadable_answer", "server", "result is no object"],
            ["orphan_answer", "server", "id: text, 43 bytes"],
            ["orphan_answer", "server", "no id"],
            ["not_json", "client", "8 bytes"],
            ["not_json", "client", "3 bytes"],
        ]
    );
}

#[test]
fn findings_about_a_call_name_its_span() {
    let mut tap = logged();
    tap.call(1).call(1).ok(1).s(r#"{"id":"1","result":{}}"#);
    tap.call(2).cancel(2).ok(2);
    let spans = tap.spans();
    let found = records(&mut tap);
    let told: Vec<_> = found.iter().map(Record::finding).collect();
    assert_eq!(
        told,
        [
            ["duplicate_id", "client", "id: integer"],
            ["id_as_text", "server", "id: text for integer"],
            ["late_answer", "server", "id: integer, 36 bytes"],
        ]
    );
    for record in &found[..2] {
        assert_eq!(record.record.span_id, spans[1].span.span_id);
        assert_eq!(record.record.trace_id, spans[1].span.trace_id);
    }
    assert_eq!(found[2].record.span_id.len(), 0);
    assert!(found.iter().all(|record| record.get(names::SESSION_ID) == identity().session));
}

#[test]
fn of_many_findings_of_a_kind_ten_are_told_and_then_one_a_minute() {
    let mut tap = logged();
    for _ in 0..30 {
        tap.s("banner");
    }
    assert_eq!(records(&mut tap).len(), 10);
    tap.wait(60).s("banner");
    let last = records(&mut tap);
    assert_eq!((last.len(), last[0].get(names::FINDING_COUNT)), (1, "21"));
    let counts = tap.session.counts();
    assert_eq!((counts.junk, counts.logs.summed), (31, 20));
}

#[test]
fn of_a_private_key_nothing_is_told_but_its_first_line() {
    let mark = |what: &str| ["-----", what, " PRIVATE", " KEY-----"].concat();
    let body = "QUJDabcd".repeat(8);
    let [begin, end] = ["BEGIN", "END"].map(mark);
    let mut tap = logged();
    let bodies =
        |tap: &mut Tap| records(tap).iter().map(|r| r.body().to_owned()).collect::<Vec<_>>();
    let coloured = begin.replace(" PRIVATE", "\u{1b}[0m PRIVATE");
    let text = format!("before\n{coloured}\n{body}\n{body}\nQUJD\n{end}\nafter\n");
    tap.session.stderr(text.as_bytes(), tap.now);
    assert_eq!(bodies(&mut tap), ["before", &begin, &end, "after"]);
    // The first line after a loss is torn, the next may be part of a key.
    tap.session.stderr_gap(3);
    tap.session.stderr(format!("x\n{body}\n{body}\nup again\n").as_bytes(), tap.now);
    assert_eq!(bodies(&mut tap), ["up again"]);
    for line in [&begin, &body, &body, &end] {
        tap.s(&format!(r#"{{"method":"notifications/message","params":{{"data":"{line}"}}}}"#));
    }
    assert_eq!(bodies(&mut tap), [begin, end]);
}

#[test]
fn a_loggers_name_and_strings_in_data_have_no_escapes_and_are_cut_between_words() {
    let mut tap = logged();
    let record = log(&mut tap, r#"{"logger":"a\u001b[0mb","data":{"m":"a\u001b[0mb"}}"#);
    assert_eq!((record.get(names::LOGGER), record.body()), ("ab", r#"{"m":"ab"}"#));
    let name = format!("db {}", "x".repeat(300));
    let record = log(&mut tap, &format!(r#"{{"logger":"{name}","data":1}}"#));
    assert_eq!(record.get(names::LOGGER), "db");
}
