//! HTTP without MCP: sockets, headers about one hop, serving and forwarding. Knows no pipeline; what
//! requests mean is the business of whoever serves.

pub(crate) mod authority;
pub(crate) mod bearer;
pub(crate) mod descriptors;
pub(crate) mod forwarded;
pub(crate) mod frames;
pub(crate) mod headers;
pub(crate) mod local;
pub(crate) mod sockets;
pub(crate) mod unix;
pub(crate) mod trailers;
pub(crate) mod unread;
pub(crate) mod write_tracker;
pub(crate) mod serve;
pub(crate) mod forward;
