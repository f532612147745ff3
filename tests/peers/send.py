"""Sends spans, metrics and log records with OpenTelemetry's own SDK for Python.

    send.py grpc|http ENDPOINT [--gzip] [--spans N] [--bearer TOKEN]

ENDPOINT is `http://HOST:PORT`; HTTP paths are added here. Spans come in traces of a root
and children with attributes, events and links; each has a number, so that a test can tell
what is missing and what came twice. The last line on stdout is JSON: the ids of all spans
sent, and how many data points and log records. Exits with 1 if the SDK gave anything up.
"""

import argparse
import json
import logging
import sys

arguments = argparse.ArgumentParser()
arguments.add_argument("protocol", choices=["grpc", "http"])
arguments.add_argument("endpoint")
arguments.add_argument("--gzip", action="store_true")
arguments.add_argument("--spans", type=int, default=300)
arguments.add_argument("--bearer")
arguments = arguments.parse_args()

if arguments.protocol == "grpc":
    from grpc import Compression
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

failures = 0


def options(signal: str) -> dict:
    grpc = arguments.protocol == "grpc"
    gzip = Compression.Gzip if arguments.gzip else Compression.NoCompression
    where = arguments.endpoint if grpc else f"{arguments.endpoint}/v1/{signal}"
    more = {"insecure": True} if grpc else {}
    if arguments.bearer:
        more["headers"] = {"authorization": f"Bearer {arguments.bearer}"}
    return {"endpoint": where, "compression": gzip, **more}


class Watched(OTLPSpanExporter):
    """Remembers what the SDK only logs."""

    def export(self, spans):
        global failures
        result = super().export(spans)
        failures += result is not SpanExportResult.SUCCESS
        return result


resource = Resource({"service.name": "sender", "deployment.environment.name": "test"})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(Watched(**options("traces")), max_export_batch_size=64))
tracer = tracers.get_tracer("sender", "1.2.3")
ids = []
while len(ids) < arguments.spans:
    with tracer.start_as_current_span("root", kind=SpanKind.SERVER) as root:
        ids.append(f"{root.context.span_id:016x}")
        for step in range(4):
            link = [Link(root.context, {"why": "a test"})] if step == 3 else []
            with tracer.start_as_current_span("step", kind=SpanKind.CLIENT, links=link) as span:
                ids.append(f"{span.context.span_id:016x}")
                span.set_attributes({"n": len(ids), "pi": 3.14, "yes": True, "list": ["a", "b"]})
                span.add_event("seen", {"at": step})
        root.set_status(Status(StatusCode.ERROR, "on purpose"))

reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options("metrics")), 60_000)
meters = MeterProvider([reader], resource=resource)
meter = meters.get_meter("sender")
meter.create_counter("calls").add(3, {"tool": "a"})
meter.create_histogram("duration", unit="s").record(0.25)

loggers = LoggerProvider(resource=resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**options("logs"))))
logger = logging.getLogger("sender")
logger.propagate = False
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=loggers))
for number in range(5):
    logger.info("line %d", number)

# The meters' shutdown collects; a flush before it would send every point twice.
done = tracers.force_flush() and loggers.force_flush()
for provider in (tracers, meters, loggers):
    provider.shutdown()
print(json.dumps({"spans": ids, "points": 2, "logs": 5}))
sys.exit(0 if done and not failures else 1)
