//! What the server is called where its command line does not tell.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::*;

/// `mcpcol.server.name` of each resource in turn, and `peer.service` of the spans below it.
fn servers(tap: &mut Tap) -> Vec<(String, Vec<String>)> {
    let (telemetry, _) = tap.session.take().remove(0);
    let Messages::Traces(all) = telemetry.messages() else { panic!("a session makes spans") };
    let named = |attributes: &[KeyValue], key: &str| {
        attributes.iter().find(|a| a.key == key).map(text).unwrap_or_default()
    };
    let resource = |of: &ResourceSpans| {
        let spans = of.scope_spans.iter().flat_map(|scope| &scope.spans);
        let peers = spans.map(|span| named(&span.attributes, names::PEER_SERVICE)).collect();
        (named(&of.resource.as_ref().unwrap().attributes, names::SERVER_NAME), peers)
    };
    all.iter().map(resource).collect()
}

#[test]
fn a_server_of_which_nothing_is_known_has_the_name_that_it_gives_itself() {
    let legacy = r#"{"id":1,"result":{"serverInfo":{"name":"desk"}}}"#;
    let modern =
        r#"{"id":1,"result":{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"desk"}}}}"#;
    for (method, answer) in [("initialize", legacy), ("tools/list", modern)] {
        for (general, named) in [(true, "desk"), (false, "index")] {
            let server = "index".to_owned();
            let mut tap = Tap::of(Settings::default(), Identity { server, general, ..identity() });
            tap.call(0).ok(0);
            tap.c(&format!(r#"{{"id":1,"method":"{method}"}}"#)).s(answer).call(2).ok(2);
            tap.s(&answer.replace("desk", "later").replace("\"id\":1", "\"id\":9"));
            tap.call(3).ok(3);
            let (known, unknown) = (named.to_owned(), "index".to_owned());
            let expected = if general {
                vec![(unknown.clone(), vec![unknown]), (known.clone(), vec![known; 3])]
            } else {
                vec![(known.clone(), vec![known; 4])]
            };
            assert_eq!(servers(&mut tap), expected, "{method}, {general}");
        }
    }
}

#[test]
fn what_is_no_name_is_not_taken_for_one() {
    for told in ["", "https://user:secret@host"] {
        let server = "index".to_owned();
        let mut tap =
            Tap::of(Settings::default(), Identity { server, general: true, ..identity() });
        tap.c(r#"{"id":1,"method":"initialize"}"#);
        tap.s(&format!(r#"{{"id":1,"result":{{"serverInfo":{{"name":"{told}"}}}}}}"#));
        assert_eq!(servers(&mut tap), [("index".to_owned(), vec!["index".to_owned()])]);
    }
}
