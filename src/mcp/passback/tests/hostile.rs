//! Servers that mean harm: whatever they hand back, nothing false gets in and the counts say why.

use super::*;
use proptest::prelude::*;

#[test]
fn nobody_can_be_the_caller_or_the_tap() {
    let mut case = case();
    case.hop = Some([0xdd; 8]);
    let caller = span(1, 0, "").replace("0101010101010101", PARENT);
    let json =
        traces(&[caller, span(0xee, 0, ""), span(0xdd, 0, ""), span(4, 0xee, ""), span(5, 0, "")]);
    let outcome = case.take(&json);
    assert_eq!(outcome.tree(), [(4, 0), (5, 0)].into());
    assert_eq!(outcome.counts.refused.impersonation, 3);
}

#[test]
fn a_span_of_ours_that_another_server_was_told_is_not_theirs() {
    let case = case();
    case.known.claim(&bytes(TRACE), &[1; 8]);
    let outcome = case.take(&traces(&[span(1, 0, ""), span(2, 0, "")]));
    assert_eq!(outcome.tree(), [(2, 0)].into());
}

#[test]
fn circles_are_opened() {
    let json =
        traces(&[span(1, 2, ""), span(2, 3, ""), span(3, 1, ""), span(4, 4, ""), span(5, 1, "")]);
    let outcome = case().take(&json);
    assert_eq!(outcome.counts.spans, 5);
    assert_eq!(outcome.counts.circles, 2);
    let tree = outcome.tree();
    for mut id in [1, 2, 3, 4, 5] {
        let mut steps = 0;
        while id != 0 {
            id = tree[&id];
            steps += 1;
            assert!(steps < 5, "every span leads to the caller");
        }
    }
}

#[test]
fn ids_that_are_none_are_counted() {
    let good = "0101010101010101";
    for bad in ["AQEBAQEBAQE=", "01", "0101010101010g01", "0000000000000000", ""] {
        let outcome = case().take(&traces(&[span(1, 0, "").replace(good, bad), span(2, 0, "")]));
        assert_eq!((outcome.counts.spans, outcome.counts.refused.bad_id), (1, 1), "{bad}");
    }
    let outcome = case().take(&traces(&[span(1, 0, "").replace(TRACE, "Cvdl")]));
    assert_eq!(outcome.counts.refused.bad_id, 1);
    let outcome = case().take(&traces(&[span(1, 0, "").replace(PARENT, "APBnqgupArc=")]));
    assert_eq!(outcome.counts.refused.bad_id, 1);
}

#[test]
fn of_too_many_spans_those_next_to_the_root_are_kept() {
    let mut case = case();
    case.rules.max_spans = 3;
    // A chain, the root last.
    let chain: Vec<_> = (1..=9).rev().map(|id| span(id, id - 1, "")).collect();
    let outcome = case.take(&traces(&chain));
    assert_eq!(outcome.tree(), [(1, 0), (2, 1), (3, 2)].into());
    assert_eq!((outcome.counts.received, outcome.counts.refused.excess), (9, 6));
}

#[test]
fn a_million_spans_or_a_hundred_megabytes_cost_nothing() {
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#,
        "{},".repeat(1_000_000)
    );
    let mut case = case();
    assert_eq!(
        case.take(&json).counts,
        PassbackCounts { too_large: 1, ..PassbackCounts::default() }
    );
    case.rules.max_bytes = usize::MAX;
    let outcome = case.take(&json);
    assert_eq!(outcome.counts.received, 1_000_001);
    let refused = outcome.counts.refused;
    assert_eq!((refused.bad_id, refused.excess), (512 * 16, 1_000_001 - 512 * 16));
    let many = format!(
        r#"{{"resourceSpans":[{}]}}"#,
        vec![r#"{"scopeSpans":[{"spans":[{}]}]}"#; 1000].join(",")
    );
    let outcome = case.take(&many);
    assert_eq!((outcome.counts.received, outcome.counts.refused.bad_id), (1000, 64));
}

#[test]
fn nesting_is_cut_or_refused() {
    let nested = |levels: usize| {
        let open = r#"{"arrayValue":{"values":["#.repeat(levels);
        let value = format!(r#"{open}{{"intValue":1}}{}"#, "]}}".repeat(levels));
        case().take(&with_attributes(&format!(r#"{{"key":"deep","value":{value}}}"#)))
    };
    let keeps = |outcome: &Outcome| outcome.only().attributes.iter().any(|a| a.key == "deep");
    assert!(keeps(&nested(16)));
    let outcome = nested(17);
    assert!(!keeps(&outcome));
    assert_eq!((outcome.only().dropped_attributes_count, outcome.counts.over_limit), (1, 1));
    // Deeper than any reader goes: what stands behind it is out of reach.
    assert_eq!(nested(41).counts.malformed, 1);
    assert_eq!(nested(10_000).counts.malformed, 1);
}

#[test]
fn our_names_are_ours() {
    let list =
        [string("mcpcol.outcome", "ok"), string("MCPCOL.x", "y"), string("fine", "z")].join(",");
    let json = with_attributes(&list)
        .replace("their scope", " MCPcol ")
        .replace(r#""stringValue":"srv""#, r#""stringValue":"mcpcol""#);
    let outcome = case().take(&json);
    let told = attributes(outcome.only());
    assert!(told.contains_key("fine") && !told.contains_key(names::OUTCOME));
    let resource = &outcome.resources[0];
    assert_ne!(
        resource.scope_spans[0].scope.as_ref().unwrap().name.trim().to_lowercase(),
        names::SCOPE
    );
    assert!(resource.resource.as_ref().unwrap().attributes.is_empty());
    assert_eq!(outcome.counts.claimed, 4);
    // What we say of the span stands.
    let lies = [string("jsonrpc.request.id", "666"), string("mcpcol.passback", "no")].join(",");
    let outcome = case().take(&with_attributes(&lies));
    assert_eq!(attributes(outcome.only())[names::REQUEST_ID], "7");
    assert_eq!(attributes(outcome.only())[names::PASSBACK], "BoolValue(true)");
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => (1u8..8).prop_map(|id| format!("{id:02x}").repeat(8)),
        1 => Just(PARENT.to_owned()),
        1 => Just("ee".repeat(8)),
        1 => "[0-9a-f]{14,18}",
        1 => Just("0".repeat(16)),
        1 => ".{0,20}".prop_map(|s| s.replace(['"', '\\'], "").chars().filter(|c| !c.is_control()).collect()),
    ]
}

fn time() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u64..12).prop_map(|s| format!("\"{}\"", START + s * SECOND)),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => Just("0".to_owned()),
        1 => Just("-5".to_owned()),
    ]
}

fn hostile_span() -> impl Strategy<Value = String> {
    let trace = prop_oneof![5 => Just(TRACE.to_owned()), 1 => Just("7".repeat(32)), 1 => id()];
    let more = prop_oneof![
        3 => Just(String::new()),
        1 => Just(r#","attributes":[{"key":"mcpcol.outcome","value":{"stringValue":"ok"}}]"#.to_owned()),
        1 => Just(r#","attributes":[{"key":"gen_ai.tool.call.result","value":{"stringValue":"hush"}}]"#.to_owned()),
        1 => Just(r#","status":{"code":2,"message":"hush"}"#.to_owned()),
        1 => Just(r#","links":[{"traceId":"","spanId":"zz"}]"#.to_owned()),
        1 => Just(r#","events":[{"name":"e","attributes":[{"key":"exception.message","value":{"stringValue":"hush"}}]}]"#.to_owned()),
        1 => Just(r#","events":5"#.to_owned()),
    ];
    (trace, id(), id(), time(), time(), more).prop_map(|(trace, id, parent, start, end, more)| {
        format!(
            r#"{{"traceId":"{trace}","spanId":"{id}","parentSpanId":"{parent}","name":"n","startTimeUnixNano":{start},"endTimeUnixNano":{end}{more}}}"#
        )
    })
}

/// Gives what must hold of whatever comes out.
fn is_safe(outcome: &Outcome) {
    let spans = outcome.spans();
    let ids: BTreeMap<_, _> = spans.iter().map(|s| (s.span_id.clone(), *s)).collect();
    assert_eq!(ids.len(), spans.len(), "ids are unique");
    for span in &spans {
        assert!(crate::otlp::arbitrary::usable(span));
        assert_eq!(span.trace_id, bytes::<16>(TRACE));
        assert!(span.span_id != bytes::<8>(PARENT) && span.span_id != [0xee; 8]);
        let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert!(start <= end && start >= START - SECOND && end <= START + 11 * SECOND);
        let mut at = *span;
        let mut steps = 0;
        while at.parent_span_id != bytes::<8>(PARENT) {
            at = ids.get(&at.parent_span_id).expect("every ancestor is there, or the caller");
            steps += 1;
            assert!(steps <= spans.len(), "no circles");
        }
        assert!(!format!("{span:?}").contains("hush"));
        assert!(!attributes(span).contains_key(names::OUTCOME));
    }
    for scope in outcome.resources.iter().flat_map(|r| &r.scope_spans) {
        assert!(scope.scope.as_ref().is_none_or(|scope| scope.name != names::SCOPE));
    }
}

proptest! {
    #[test]
    fn whatever_spans_come_only_good_ones_get_in(
        spans in prop::collection::vec(hostile_span(), 0..20),
        max_spans in 1usize..20,
    ) {
        let mut case = case();
        case.rules.max_spans = max_spans;
        let outcome = case.take(&traces(&spans));
        prop_assert!(outcome.spans().len() <= max_spans);
        prop_assert_eq!(outcome.counts.received, spans.len() as u64);
        is_safe(&outcome);
    }

    #[test]
    fn whatever_bytes_come_nothing_panics_and_the_books_balance(
        noise in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", "null", "1", "\"resourceSpans\"", "\"scopeSpans\"",
            "\"spans\"", "\"traceId\"", "\"attributes\"", "\u{e9}", "\"\\ud800\"", "-1e999",
        ]), 0..60),
        cut in 0usize..400,
    ) {
        is_safe(&case().take(&noise.concat()));
        let whole = traces(&[span(1, 0, ""), span(2, 1, "")]);
        is_safe(&case().take(&whole[..cut.min(whole.len())]));
    }
}
