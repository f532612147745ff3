//! Compares the code of our own gRPC service with what its `.proto` file makes of it; `UPDATE_EXPECTED=1` writes it
//! anew. So nobody who builds mcpcol needs a compiler of protobuf.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

#[test]
fn the_code_of_the_stats_service_is_that_of_its_proto_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = tempfile::tempdir().unwrap();
    let files = protox::compile(["mcpcol/stats/v1/stats.proto"], [root.join("proto")]).unwrap();
    tonic_prost_build::configure().out_dir(out.path()).compile_fds(files).unwrap();
    let generated = fs::read_to_string(out.path().join("mcpcol.stats.v1.rs")).unwrap();
    let path = root.join("src/extensions/stats/v1.rs");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let current = fs::read_to_string(&path).unwrap_or_default();
    assert!(current == generated, "run `UPDATE_EXPECTED=1 cargo test --test proto`");
}
