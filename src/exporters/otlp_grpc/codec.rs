//! Requests as the bytes they already are, responses as the one message that all three signals share.

use bytes::{BufMut, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// The responses of the three services differ in names only: field 1 is the partial success, in it field
/// 1 the number of rejected items and field 2 the message.
pub(super) type Response = ExportTraceServiceResponse;

/// Bytes out, [`Response`] in.
#[derive(Clone, Copy)]
pub(super) struct Undecoded;

impl Codec for Undecoded {
    type Encode = Bytes;
    type Decode = Response;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Undecoded
    }

    fn decoder(&mut self) -> Self {
        Undecoded
    }
}

impl Encoder for Undecoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, wire: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(wire);
        Ok(())
    }
}

impl Decoder for Undecoded {
    type Item = Response;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Response>, Status> {
        let unreadable = |e| Status::internal(format!("the response is not readable: {e}"));
        Response::decode(buf).map(Some).map_err(unreadable)
    }
}
