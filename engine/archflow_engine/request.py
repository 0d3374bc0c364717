"""The head of a request, with everything that can be told from it alone.

Most clients send the same head again and again. A front that recognises one hands on the RequestHead that it made the
first time, and whatever was worked out from it then is there: names, identifiers, refusals, the lines that go upstream.

Rule: nothing about one exchange is kept here; a RequestHead serves all that repeat it, one after the other or at once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archflow_engine import trace

if TYPE_CHECKING:
    from archflow_engine.upstream.call import CallHead, Headers

_QUERY = re.compile(rb"[\x21-\x7e]*")


class RequestHead:
    """Method, target and headers as they were read, and what they say.

    Attributes:
        verb, path, query: method and target in parts.
        fields: name -> value, the last one of a name.
        refusal: status, code and message, if no endpoint can take such a request.
        authority, user_agent, forwarded_for: for records.
        request_id: the client's; empty if it sent none that can be passed on.
        context: trace id, parent span id and sampled flag of the client's trace.
        call: what was made of it for an upstream the last time; `call_for` tells for which one.
    """

    __slots__ = (
        "authority", "call", "call_for", "context", "fields", "forwarded_for", "headers", "method", "path", "query",
        "refusal", "request_id", "trace_state", "user_agent", "verb",
    )  # fmt: skip

    def __init__(self, method: bytes, target: bytes, headers: Headers) -> None:
        path, _, self.query = target.partition(b"?")
        self.method = method
        self.verb = method.decode("latin-1")
        self.path = path.decode("latin-1")
        self.headers = headers
        self.fields = fields = dict(headers)
        self.refusal = _refusal(fields, self.query)
        self.authority = fields.get(b"host", b"").decode("latin-1")
        self.user_agent = fields.get(b"user-agent", b"").decode("latin-1")
        self.forwarded_for = fields.get(b"x-forwarded-for", b"").decode("latin-1")
        self.request_id = trace.accept_request_id(fields.get(b"x-request-id", b""))
        self.context = trace.parse_traceparent(fields.get(b"traceparent", b""))
        self.trace_state = fields.get(b"tracestate", b"").decode("latin-1") if self.context else ""
        self.call: CallHead | None = None
        self.call_for: object = None


def _refusal(fields: dict[bytes, bytes], query: bytes) -> tuple[int, str, str] | None:
    if not _QUERY.fullmatch(query):
        return 400, "invalid_request", "the query string holds characters that a URL cannot (RFC 3986)"
    encoding = fields.get(b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        return 415, "unsupported_encoding", "request bodies must not be compressed: send identity"
    return None
