//! Receivers: nouns, named for their protocol.

use crate::pipeline::ReceiverKind;

/// Every receiver, in the order `components` lists them.
pub static RECEIVERS: &[ReceiverKind] = &[];
