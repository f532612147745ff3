//! Names what a client or server does wrong on the wire.

/// Says what was wrong. Each has a counter of its own, too: of a flood of findings only some are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Finding {
    /// A line, body or event is something else than one JSON object or array.
    NotJson,
    /// JSON that is not JSON-RPC.
    NotRpc,
    /// An answer that the one who waits for it cannot take.
    UnreadableAnswer,
    /// An answer or progress under the text of the integer that was waited for.
    IdAsText,
    /// An answer to a request that was cancelled or given up before.
    LateAnswer,
    /// An answer to no request known.
    OrphanAnswer,
    /// A request whose id was in flight already.
    DuplicateId,
    /// A header of a request that does not say what its body says, or is not there.
    HeaderMismatch,
}

impl Finding {
    /// Gives its name: `mcpcol.finding.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Finding::NotJson => "not_json",
            Finding::NotRpc => "not_rpc",
            Finding::UnreadableAnswer => "unreadable_answer",
            Finding::IdAsText => "id_as_text",
            Finding::LateAnswer => "late_answer",
            Finding::OrphanAnswer => "orphan_answer",
            Finding::DuplicateId => "duplicate_id",
            Finding::HeaderMismatch => "header_mismatch",
        }
    }

    /// Says it in words: the body of the record.
    pub(super) fn words(self) -> &'static str {
        match self {
            Finding::NotJson => "text where a JSON-RPC message belongs",
            Finding::NotRpc => "JSON that is not JSON-RPC",
            Finding::UnreadableAnswer => "an answer that its reader cannot take",
            Finding::IdAsText => "an id as a text that was asked for as a number",
            Finding::LateAnswer => "an answer after its request was cancelled or given up",
            Finding::OrphanAnswer => "an answer to no request",
            Finding::DuplicateId => "a request under an id that is in flight",
            Finding::HeaderMismatch => "a header that does not say what the body says",
        }
    }
}
