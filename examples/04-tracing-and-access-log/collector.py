"""A collector for trying things out: it takes OTLP over HTTP and prints each span with its attributes.

python collector.py --port 4318
"""

from __future__ import annotations

import argparse
import gzip
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span


def value(any_value: AnyValue) -> object:
    """What an attribute holds."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(one) for one in any_value.array_value.values]
    return getattr(any_value, kind) if kind else None


class Collector(BaseHTTPRequestHandler):
    """Prints the spans of each POST."""

    def do_POST(self) -> None:
        """Take one batch of spans."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
        print("\n".join(shown(span) for scope in scopes for span in scope.spans), flush=True)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Only spans are printed."""


def shown(span: Span) -> str:
    """One span: kind, name, where it belongs, attributes."""
    kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
    place = f"trace {span.trace_id.hex()} span {span.span_id.hex()} parent {span.parent_span_id.hex()}"
    attributes = sorted((attribute.key, value(attribute.value)) for attribute in span.attributes)
    return "\n".join([f"{kind} {span.name}: {place}", *(f"  {key} = {held}" for key, held in attributes)])


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--port", type=int, default=4318)
    server = HTTPServer(("127.0.0.1", parser.parse_args().port), Collector)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
