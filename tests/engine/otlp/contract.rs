//! The Collector's contract for receivers: a sender that does what it is told loses nothing and
//! duplicates nothing, whatever the backend answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mcpcol::pipeline::ExportError;
use prost::Message;
use rand::seq::IndexedRandom;
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::rig::{BOTH, Fake, PROTOBUF, Rig, TRACES, call, channel, post};
use super::telemetry::{tagged, tags_of};

/// What a backend answers.
#[derive(Clone, Copy, Debug)]
enum Says {
    Yes,
    Later,
    Never,
}

/// A backend that answers at random, and keeps what it took and what it refused for good.
#[derive(Clone)]
struct Backend {
    fake: Fake,
    refused: Arc<Mutex<Vec<u64>>>,
}

fn backend(moods: &'static [Says]) -> Backend {
    let refused = Arc::new(Mutex::new(Vec::new()));
    let keeps = Arc::clone(&refused);
    let fake = Fake::new(move |telemetry| match moods.choose(&mut rand::rng()).unwrap() {
        Says::Yes => Ok(()),
        Says::Later => Err(ExportError::Retry { after: None, why: "later".into() }),
        Says::Never => {
            keeps.lock().unwrap().extend(tags_of(telemetry));
            Err(ExportError::Reject { why: "never".into() })
        }
    });
    // The sender itself sends again, so it has to hear every answer.
    let fake = fake
        .queue(|queue| {
            queue.wait_for_result = true;
            queue.num_consumers = 4;
        })
        .retry(|retry| retry.enabled = false);
    Backend { fake, refused }
}

/// Sends until it is told that there is no use; what became of it as the sender sees it.
async fn deliver(http: SocketAddr, grpc: Channel, tag: u64) -> bool {
    let body = Bytes::from(tagged([tag * 2, tag * 2 + 1]).encode_to_vec());
    loop {
        let over_http = tag.is_multiple_of(2);
        let said = if over_http {
            match post(http, "/v1/traces", &[PROTOBUF], &body).await.status {
                200 => Says::Yes,
                503 => Says::Later,
                500 => Says::Never,
                other => panic!("{other}"),
            }
        } else {
            match call(grpc.clone(), TRACES, None, Request::new(body.clone())).await {
                Ok(_) => Says::Yes,
                Err(status) if status.code() == Code::Unavailable => Says::Later,
                Err(status) if status.code() == Code::Internal => Says::Never,
                Err(other) => panic!("{other:?}"),
            }
        };
        match said {
            Says::Yes => return true,
            Says::Never => return false,
            Says::Later => {}
        }
    }
}

async fn holds(moods: &'static [Says]) {
    const REQUESTS: u64 = 120;
    let backend = backend(moods);
    let rig = Rig::start(BOTH, std::slice::from_ref(&backend.fake)).await;
    let (http, grpc) = (rig.http(), channel(rig.grpc()).await);
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..4 {
        let grpc = grpc.clone();
        senders.spawn(async move {
            let (mut taken, mut refused) = (BTreeSet::new(), BTreeSet::new());
            for tag in (sender..REQUESTS).step_by(4) {
                let kept = deliver(http, grpc.clone(), tag).await;
                let side = if kept { &mut taken } else { &mut refused };
                side.extend([tag * 2, tag * 2 + 1]);
            }
            (taken, refused)
        });
    }
    let (mut taken, mut refused) = (BTreeSet::new(), BTreeSet::new());
    while let Some(sides) = senders.join_next().await {
        let (t, r) = sides.unwrap();
        taken.extend(t);
        refused.extend(r);
    }
    rig.stop().await;

    let arrived: Vec<u64> = backend.fake.got().iter().flat_map(tags_of).collect();
    let distinct: BTreeSet<u64> = arrived.iter().copied().collect();
    assert_eq!(arrived.len(), distinct.len(), "nothing arrives twice");
    assert_eq!(distinct, taken, "what was acknowledged has arrived, and nothing else");
    let never = backend.refused.lock().unwrap().clone();
    assert_eq!(never.len(), refused.len(), "what was refused for good was not sent again");
    assert_eq!(never.into_iter().collect::<BTreeSet<_>>(), refused);
    assert_eq!(taken.len() + refused.len(), 2 * REQUESTS as usize);
}

#[tokio::test]
async fn with_a_backend_that_takes_everything() {
    holds(&[Says::Yes]).await;
}

#[tokio::test]
async fn with_one_that_is_often_busy() {
    holds(&[Says::Yes, Says::Later]).await;
}

#[tokio::test]
async fn with_one_that_refuses_much() {
    holds(&[Says::Yes, Says::Never]).await;
}

#[tokio::test]
async fn with_one_that_does_all_of_that() {
    holds(&[Says::Yes, Says::Later, Says::Never]).await;
}
