//! Compressing bodies of requests.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;

use crate::pipeline::ExportError;
use crate::settings::Compression;

/// Bodies larger than this are compressed on a thread of their own: at 50 MB/s they would keep a
/// thread of the runtime from everybody else for longer than a few milliseconds.
const INLINE: usize = 256 * 1024;

/// Gives what `Content-Encoding` says; `None` if nothing is compressed.
pub(super) fn name(compression: Compression) -> anyhow::Result<Option<&'static str>> {
    match compression {
        Compression::Gzip => Ok(Some("gzip")),
        Compression::Zstd => Ok(Some("zstd")),
        Compression::None => Ok(None),
        other => anyhow::bail!("compression {other:?} is not supported"),
    }
}

/// The body as it goes out. `level` is one of the encoder's own; 0 and below stand for the usual one.
pub(super) async fn compressed(
    compression: Compression,
    level: i32,
    body: Bytes,
) -> Result<Bytes, ExportError> {
    let encode: fn(&[u8], i32) -> io::Result<Vec<u8>> = match compression {
        Compression::Gzip => gzip,
        Compression::Zstd => zstd,
        _ => return Ok(body),
    };
    let made = if body.len() <= INLINE {
        encode(&body, level)
    } else {
        let made = tokio::task::spawn_blocking(move || encode(&body, level)).await;
        made.unwrap_or_else(|e| Err(io::Error::other(e)))
    };
    let failed = |e| ExportError::Reject { why: format!("cannot compress the request: {e}") };
    made.map(Bytes::from).map_err(failed)
}

fn gzip(body: &[u8], level: i32) -> io::Result<Vec<u8>> {
    let level = u32::try_from(level).ok().filter(|level| *level > 0);
    let level = level.map_or(flate2::Compression::default(), flate2::Compression::new);
    // Telemetry repeats itself: a quarter is a good guess.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), level);
    encoder.write_all(body)?;
    encoder.finish()
}

fn zstd(body: &[u8], level: i32) -> io::Result<Vec<u8>> {
    ::zstd::bulk::compress(body, if level > 0 { level } else { ::zstd::DEFAULT_COMPRESSION_LEVEL })
}
