"""A collector of traces: takes OTLP over HTTP as OpenTelemetry's published messages have it, and tells what it got.

`GET /spans` answers a JSON list of all spans; `POST /refuse/<status>` has it answer so to what comes next, until
`POST /refuse/200`. The first line on standard output is `listening on <port>`; it exits when standard input ends.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

SPANS = []
REFUSALS = {"status": 200, "count": 0}


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def described(span, resource, headers):
    return {
        "trace": span.trace_id.hex(),
        "span": span.span_id.hex(),
        "parent": span.parent_span_id.hex(),
        "name": span.name,
        "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        "start": span.start_time_unix_nano,
        "end": span.end_time_unix_nano,
        "attributes": attributes(span.attributes),
        "links": [link.span_id.hex() for link in span.links],
        "failed": span.status.code == Status.STATUS_CODE_ERROR,
        "message": span.status.message,
        "resource": attributes(resource.attributes),
        "headers": headers,
    }


class Collector(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, json.dumps({"spans": SPANS, "refused": REFUSALS["count"]}).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/refuse/"):
            REFUSALS["status"] = int(self.path.rsplit("/", 1)[1])
            return self.answer(200, b"{}")
        if self.path != "/v1/traces" or self.headers["Content-Type"] != "application/x-protobuf":
            return self.answer(404, b"no such resource")
        if REFUSALS["status"] != 200:
            REFUSALS["count"] += 1
            return self.answer(REFUSALS["status"], b"not now")
        request = ExportTraceServiceRequest.FromString(body)
        headers = {"x-team": self.headers.get("x-team")}
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                SPANS.extend(
                    described(span, resource_spans.resource, headers) for span in scope_spans.spans
                )
        response = ExportTraceServiceResponse().SerializeToString()
        self.answer(200, response, "application/x-protobuf")


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    print(f"listening on {server.server_address[1]}", flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


main()
