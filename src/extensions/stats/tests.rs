//! Settings, and the service on real sockets.

use super::*;
use crate::metrics::Metrics;
use crate::pipeline::{Accounts, Id, Shared, Switch};
use crate::settings::testing;
use crate::telemetry::Clock;

fn problems(yaml: &str) -> Vec<String> {
    let config: Config = testing::read(yaml).unwrap();
    let found = testing::check(yaml, "extensions::stats", |report| config.check(report));
    found.0.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

#[test]
fn off_this_machine_a_token_is_needed() {
    assert_eq!(problems("{}"), [""; 0]);
    assert_eq!(problems("{ endpoint: 'unix:/run/x.sock' }"), [""; 0]);
    assert_eq!(problems("{ endpoint: '[::1]:1' }"), [""; 0]);
    let open = problems("{ endpoint: '0.0.0.0:8932' }");
    assert!(
        open[0].starts_with("extensions::stats::endpoint: is reachable from elsewhere"),
        "{open:?}"
    );
    let clear = problems("{ endpoint: '0.0.0.0:8932', auth: { bearer_token: t0 } }");
    assert!(clear[0].contains("unencrypted"), "{clear:?}");
    assert!(
        problems("{ auth: {} }")[0].contains("auth.bearer_token")
            || !problems("{ auth: {} }").is_empty()
    );
    assert!(problems("{ endpoint: localhost }")[0].contains("endpoint"));
}

/// A running extension, and what ends it.
async fn start(config: Config, base: &Path) -> (Switch, tokio::task::JoinHandle<()>) {
    let (id, accounts) = (Id::parse("stats").unwrap(), Accounts::new(Metrics::default()));
    let shared = Shared::default();
    let cx = Build::alone(&id, &accounts, Clock::start(), base, &shared);
    let mut extension = config.build(&cx).unwrap();
    extension.open().await.unwrap();
    let (switch, stop) = Stop::switch();
    let run = extension.run(stop);
    #[expect(clippy::disallowed_methods, reason = "ended by the test")]
    let task = tokio::spawn(async move { run.await.unwrap() });
    (switch, task)
}

#[tokio::test]
async fn a_socket_is_there_for_as_long_as_it_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.sock");
    let (switch, task) = start(Config::at(&path), directory.path()).await;
    assert!(path.exists());
    crate::http::unix::connect_to(&path).unwrap();
    drop(switch);
    task.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn where_it_cannot_listen_unasked_the_rest_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("absent/x.sock");
    let (switch, task) = start(Config::at(&path), directory.path()).await;
    drop(switch);
    task.await.unwrap();
    let asked = Config { unasked: false, ..Config::at(&path) };
    let (id, accounts) = (Id::parse("stats").unwrap(), Accounts::new(Metrics::default()));
    let shared = Shared::default();
    let cx = Build::alone(&id, &accounts, Clock::start(), directory.path(), &shared);
    let error = asked.build(&cx).unwrap().open().await.unwrap_err();
    assert!(format!("{error:#}").contains("cannot listen on unix:"), "{error:#}");
}
