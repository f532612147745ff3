//! Zipkin v2 as its API describes it (zipkin2-api.yaml), read strictly: no other keys, no nulls, nothing
//! empty that may be left out. Written from those rules, not from the exporter.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

type Checked = Result<(), String>;

/// The spans of a body, or the first thing that Zipkin would not take.
pub(super) fn read(body: &[u8]) -> Result<Vec<Value>, String> {
    let spans: Vec<Value> = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    for value in &spans {
        span(value).map_err(|why| format!("{why} in {value}"))?;
    }
    Ok(spans)
}

fn span(value: &Value) -> Checked {
    for (key, value) in object(value)? {
        match key.as_str() {
            "traceId" => hex(value, 32),
            "id" | "parentId" => hex(value, 16),
            "name" => text(value),
            "kind" => match value.as_str() {
                Some("CLIENT" | "SERVER" | "PRODUCER" | "CONSUMER") => Ok(()),
                _ => Err("a kind that Zipkin does not have".to_owned()),
            },
            "timestamp" | "duration" => positive(value),
            "localEndpoint" | "remoteEndpoint" => endpoint(value),
            "annotations" => annotations(value),
            "tags" => tags(value),
            _ => Err("no such field".to_owned()),
        }
        .map_err(|why| format!("{key}: {why}"))?;
    }
    match ["traceId", "id"].into_iter().find(|key| value.get(key).is_none()) {
        Some(key) => Err(format!("no {key}")),
        None => Ok(()),
    }
}

fn endpoint(value: &Value) -> Checked {
    for (key, value) in object(value)? {
        let fits = match (key.as_str(), value) {
            ("serviceName", Value::String(name)) => !name.is_empty(),
            ("ipv4", Value::String(ip)) => ip.parse::<Ipv4Addr>().is_ok(),
            ("ipv6", Value::String(ip)) => ip.parse::<Ipv6Addr>().is_ok(),
            ("port", port) => port.as_u64().is_some_and(|port| (1..=65535).contains(&port)),
            _ => false,
        };
        if !fits {
            return Err(format!("{key} is wrong"));
        }
    }
    Ok(())
}

fn annotations(value: &Value) -> Checked {
    let all = value.as_array().filter(|all| !all.is_empty()).ok_or("not a list of some")?;
    for one in all {
        let one = object(one)?;
        match (one.len(), one.get("timestamp"), one.get("value")) {
            (2, Some(timestamp), Some(value)) => positive(timestamp).and(text(value))?,
            _ => return Err("not a timestamp and a value".to_owned()),
        }
    }
    Ok(())
}

fn tags(value: &Value) -> Checked {
    let bad = |(key, value): &(&String, &Value)| key.is_empty() || !value.is_string();
    match object(value)?.iter().find(bad) {
        Some((key, _)) => Err(format!("`{key}` is no tag")),
        None => Ok(()),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().filter(|map| !map.is_empty()).ok_or_else(|| "not an object of some".into())
}

fn hex(value: &Value, len: usize) -> Checked {
    let id = value.as_str().unwrap_or_default();
    let digits = id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let zero = id.bytes().all(|b| b == b'0');
    if id.len() == len && digits && !zero { Ok(()) } else { Err(format!("not {len} hex digits")) }
}

fn text(value: &Value) -> Checked {
    match value.as_str() {
        Some("") | None => Err("no text".to_owned()),
        Some(_) => Ok(()),
    }
}

/// Microseconds: whole numbers, and 0 counts as missing.
fn positive(value: &Value) -> Checked {
    let number = value.as_u64().filter(|n| *n > 0 && i64::try_from(*n).is_ok());
    number.map(drop).ok_or_else(|| "not a positive whole number".to_owned())
}

#[test]
fn the_reader_takes_no_mistake_for_a_span() {
    let good = r#"{"traceId":"00000000000000000000000000000001","id":"0000000000000001"}"#;
    assert!(read(format!("[{good}]").as_bytes()).is_ok());
    for (from, to) in [
        ("traceId", "trace_id"),
        ("\"0000000000000001\"", "\"0000000000000000\""),
        ("\"0000000000000001\"", "\"000000000000000A\""),
        ("\"0000000000000001\"", "\"01\""),
        ("}", ",\"debug\":false}"),
        ("}", ",\"name\":\"\"}"),
        ("}", ",\"name\":null}"),
        ("}", ",\"kind\":\"INTERNAL\"}"),
        ("}", ",\"timestamp\":1.5}"),
        ("}", ",\"duration\":0}"),
        ("}", ",\"duration\":\"7\"}"),
        ("}", ",\"tags\":{}}"),
        ("}", ",\"tags\":{\"a\":1}}"),
        ("}", ",\"annotations\":[]}"),
        ("}", ",\"annotations\":[{\"timestamp\":1}]}"),
        ("}", ",\"localEndpoint\":{}}"),
        ("}", ",\"localEndpoint\":{\"ipv4\":\"::1\"}}"),
        ("}", ",\"remoteEndpoint\":{\"port\":0}}"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert!(read(format!("[{bad}]").as_bytes()).is_err(), "{bad}");
    }
}
