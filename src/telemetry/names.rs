//! Every attribute name that mcpcol writes, in one list.
//!
//! Names of the conventions are theirs (OpenTelemetry semantic conventions for MCP and GenAI, status
//! Development); what they lack stands under `mcpcol.`.

/// The instrumentation scope of spans made by a tap.
pub const SCOPE: &str = "mcpcol";

// Resource.
/// Name of the service a span belongs to.
pub const SERVICE_NAME: &str = "service.name";
/// Version of that service.
pub const SERVICE_VERSION: &str = "service.version";
/// Chance that tells this process from others of its service.
pub const SERVICE_INSTANCE: &str = "service.instance.id";
/// Name of the machine that the tap runs on.
pub const HOST_NAME: &str = "host.name";
/// The tapped server as the user named it, or as its command line tells.
pub const SERVER_NAME: &str = "mcpcol.server.name";

// MCP conventions.
/// JSON-RPC method.
pub const METHOD: &str = "mcp.method.name";
/// Negotiated or per-request protocol version.
pub const PROTOCOL_VERSION: &str = "mcp.protocol.version";
/// URI of the resource concerned.
pub const RESOURCE_URI: &str = "mcp.resource.uri";
/// JSON-RPC request id, always as a string.
pub const REQUEST_ID: &str = "jsonrpc.request.id";
/// JSON-RPC version, written only when it is not 2.0.
pub const JSONRPC_VERSION: &str = "jsonrpc.protocol.version";
/// JSON-RPC error code, as a string.
pub const STATUS_CODE: &str = "rpc.response.status_code";
/// Low-cardinality cause of a failure.
pub const ERROR_TYPE: &str = "error.type";
/// `execute_tool` for tool calls.
pub const OPERATION: &str = "gen_ai.operation.name";
/// Tool concerned.
pub const TOOL: &str = "gen_ai.tool.name";
/// Prompt concerned.
pub const PROMPT: &str = "gen_ai.prompt.name";
/// `pipe`, `tcp` or `quic`.
pub const TRANSPORT: &str = "network.transport";
/// `http` for HTTP transports, nothing for stdio.
pub const NETWORK_PROTOCOL: &str = "network.protocol.name";
/// Version of that protocol: `1.0`, `1.1`, `2`.
pub const NETWORK_VERSION: &str = "network.protocol.version";
/// Host of the server behind the tap.
pub const SERVER_ADDRESS: &str = "server.address";
/// Its port, an integer.
pub const SERVER_PORT: &str = "server.port";
/// Status of the HTTP response that brought the answer or the failure, an integer.
pub const HTTP_STATUS: &str = "http.response.status_code";
/// The session id as it is on the wire; written only where the user asked for it.
pub const CLEAR_SESSION_ID: &str = "mcp.session.id";
/// The other side, where service graphs look for it.
pub const PEER_SERVICE: &str = "peer.service";

// Content-bearing names that other instrumentations write and the digest replaces.
/// Arguments of a tool call.
pub const TOOL_ARGUMENTS: &str = "gen_ai.tool.call.arguments";
/// Result of a tool call.
pub const TOOL_RESULT: &str = "gen_ai.tool.call.result";
/// Messages given to a model.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// Messages a model answered.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

// Ours, on spans.
/// Shape of the arguments, as JSON: names, kinds and sizes.
pub const ARGUMENTS_SHAPE: &str = "mcpcol.arguments.shape";
/// `true` where the arguments that were captured, or their shape, were cut after redaction.
pub const ARGUMENTS_TRUNCATED: &str = "mcpcol.arguments.truncated";
/// Shape of the result, likewise.
pub const RESULT_SHAPE: &str = "mcpcol.result.shape";
/// `true` where the result that was captured, or its shape, was cut after redaction.
pub const RESULT_TRUNCATED: &str = "mcpcol.result.truncated";
/// Random id of one stdio process or HTTP session.
pub const SESSION_ID: &str = "mcpcol.session.id";
/// Says how a call ended, in the vocabulary of the SLO engine.
pub const OUTCOME: &str = "mcpcol.outcome";
/// Says who cancelled a call, of outcome `cancelled` and of no other: `client` (whoever asked took it back),
/// `disconnect` (the connection went away) or `tap` (the tap's own stop cut it off).
pub const CANCELLED_BY: &str = "mcpcol.cancelled.by";
/// `server` for requests that the server sent (sampling, elicitation, roots).
pub const INITIATOR: &str = "mcpcol.initiator";
/// Bytes of the request message on the wire.
pub const REQUEST_SIZE: &str = "mcpcol.request.size";
/// Bytes of the response message on the wire.
pub const RESPONSE_SIZE: &str = "mcpcol.response.size";
/// `cut` when a message was longer than what is observed.
pub const OBSERVED: &str = "mcpcol.observed";
/// Name of the client implementation, as it says itself.
pub const CLIENT_NAME: &str = "mcpcol.client.name";
/// Version of the client implementation, as it says itself.
pub const CLIENT_VERSION: &str = "mcpcol.client.version";
/// Name of the server implementation, as it says itself.
pub const SERVER_INFO_NAME: &str = "mcpcol.server.info.name";
/// Version of the server implementation, as it says itself.
pub const SERVER_INFO_VERSION: &str = "mcpcol.server.info.version";
/// `resultType` of a 2026-07-28 result, when it is not `complete`.
pub const RESULT_TYPE: &str = "mcpcol.result.type";
/// Keyed hash of the id of the task that a call was answered with, or that a task method names: the id may
/// be all that is needed to fetch its result.
pub const TASK_ID: &str = "mcpcol.task.id";
/// Status of the task that a task method told.
pub const TASK_STATUS: &str = "mcpcol.task.status";
/// `true` on a call that may have ended in another way than the span says: a gap in the observation may have
/// touched it, or the part of a long answer that says so was not observed.
pub const DOUBTFUL: &str = "mcpcol.doubtful";
/// Says why a span links to another: `retry` (next leg of the same call), `task` (the call that began it), `cause` (the
/// call in which the server asked this), `http` (the context of the HTTP request, beside that of the message) or
/// `parent` (the context that would be the parent, were the trace not the tap's own).
pub const LINK: &str = "mcpcol.link";
/// Event: a progress notification of the call.
pub const PROGRESS: &str = "mcpcol.progress";
/// Progress so far, on that event.
pub const PROGRESS_VALUE: &str = "mcpcol.progress.value";
/// Progress to come, on that event.
pub const PROGRESS_TOTAL: &str = "mcpcol.progress.total";
/// `true` on the SERVER span of a tap that is a hop. The call itself is its CLIENT child: whoever counts
/// calls counts spans of the scope `mcpcol` without this attribute.
pub const HOP: &str = "mcpcol.hop";
/// `true` on a span that a server handed back in an answer (SEP-2448): the server's claim, not ours.
pub const PASSBACK: &str = "mcpcol.passback";
/// `true` where the request had no context that the span could belong to.
pub const PASSBACK_ORPHAN: &str = "mcpcol.passback.orphan";
/// Start of the span as the server told it, in nanoseconds, where its times were moved.
pub const PASSBACK_ORIGINAL_START: &str = "mcpcol.passback.original_start";
/// `true` on the topmost spans of an answer from which the server left spans out.
pub const PASSBACK_TRUNCATED: &str = "mcpcol.passback.truncated";
/// Says how many, if it says.
pub const PASSBACK_LEFT_OUT: &str = "mcpcol.passback.left_out";
/// Digest of `params.arguments`.
pub const ARGUMENTS_DIGEST: &str = "mcpcol.arguments.digest";
/// Digest of `result`.
pub const RESULT_DIGEST: &str = "mcpcol.result.digest";

// Ours, on log records about alerts of objectives.
/// Event: an alert of an objective changed, or goes on.
pub const SLO_ALERT: &str = "mcpcol.slo.alert";
/// Name of the objective.
pub const SLO_NAME: &str = "mcpcol.slo.name";
/// Name of the rule that the alert follows.
pub const SLO_RULE: &str = "mcpcol.slo.rule";
/// `page` or `ticket`.
pub const SLO_SEVERITY: &str = "mcpcol.slo.severity";
/// Names what the alert changed to: `pending`, `firing`, `inactive` (it was pending and did not fire) or `resolved`.
pub const SLO_STATE: &str = "mcpcol.slo.state";
/// Says why it ended: `recovered`, `no_data` or `config`.
pub const SLO_REASON: &str = "mcpcol.slo.reason";
/// `true` where a page of the same objective says it already: recorded, and nobody is to be told.
pub const SLO_SUPPRESSED: &str = "mcpcol.slo.suppressed";
/// `true` where nothing changed and it is told again.
pub const SLO_AGAIN: &str = "mcpcol.slo.again";
/// `true` on alerts of all servers and tools together that have no budget of their own.
pub const SLO_OTHERS: &str = "mcpcol.slo.others";
/// Long window of the rule: `1h`.
pub const SLO_WINDOW: &str = "mcpcol.slo.window";
/// Calls that count in that window.
pub const SLO_EVENTS: &str = "mcpcol.slo.events";
/// Bad ones among them.
pub const SLO_BAD: &str = "mcpcol.slo.bad";
/// Says how many times as fast as allowed the budget burns in that window.
pub const SLO_BURN_RATE: &str = "mcpcol.slo.burn_rate";
/// Says how many times as fast as allowed the budget burns in the rule's short window.
pub const SLO_SHORT_BURN_RATE: &str = "mcpcol.slo.burn_rate.short";
/// From which burn rate on it fires.
pub const SLO_THRESHOLD: &str = "mcpcol.slo.threshold";
/// Part of the budget that is left: 1 is all, below 0 is overspent.
pub const SLO_BUDGET_REMAINING: &str = "mcpcol.slo.budget_remaining";
/// Says how many more bad calls the budget bears.
pub const SLO_FAILURES_LEFT: &str = "mcpcol.slo.failures_left";

// Ours and the conventions', on log records.
/// Stream that a log line came by: `stderr`.
pub const IOSTREAM: &str = "log.iostream";
/// Logger of a `notifications/message`, as the server names it.
pub const LOGGER: &str = "mcpcol.log.logger";
/// Says how many log records of this tap were dropped since the one before, because there were too many.
pub const LOG_DROPPED: &str = "mcpcol.log.dropped";
/// Event: what a client or server does wrong on the wire.
pub const FINDING: &str = "mcpcol.finding";
/// Kind of the finding, on that event.
pub const FINDING_KIND: &str = "mcpcol.finding.kind";
/// Says who did it: `client` or `server`.
pub const FINDING_BY: &str = "mcpcol.finding.by";
/// Sizes and types that belong to it, without content.
pub const FINDING_DETAIL: &str = "mcpcol.finding.detail";
/// Says how many of that kind in that session the record stands for.
pub const FINDING_COUNT: &str = "mcpcol.finding.count";
/// Event: a call that has waited for its answer for longer than `pending_after`.
pub const PENDING: &str = "mcpcol.pending";
/// Whole seconds that it had waited by then, on that event.
pub const PENDING_SECONDS: &str = "mcpcol.pending.seconds";
