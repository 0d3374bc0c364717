"""Ids: W3C trace context and request ids, taken only in their proper form."""

from __future__ import annotations

import re

import pytest

from archflow_engine import trace
from archflow_plugins.record import Record

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", (TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-fe", (TRACE, SPAN, False)),
        (f" 00-{TRACE}-{SPAN}-01 ", (TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", (TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01", (TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"cc-{TRACE}-{SPAN}-01x", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE[1:]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-1", None),
        (f"00-{TRACE}-{SPAN}-01\n", (TRACE, SPAN, True)),
        ("", None),
    ],
)
def test_a_traceparent(raw: str, expected: tuple[str, str, bool] | None) -> None:
    assert trace.parse_traceparent(raw.encode()) == expected


def test_made_ids_have_their_form_and_differ() -> None:
    for make, form in (
        (trace.new_span_id, r"[0-9a-f]{16}"),
        (lambda: trace.new_ids()[0], r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        (lambda: trace.new_ids()[1], r"[0-9a-f]{32}"),
        (lambda: trace.new_ids()[2], r"[0-9a-f]{16}"),
    ):
        made = {make() for _ in range(1000)}
        assert len(made) == 1000
        assert all(re.fullmatch(form, one) for one in made)


@pytest.mark.parametrize(("sampled", "flags"), [(True, "01"), (False, "00")])
def test_what_an_upstream_is_told(sampled: bool, flags: str) -> None:
    record = Record("req_1", TRACE, sampled=sampled)
    assert trace.lines(record, SPAN) == f"x-request-id: req_1\r\ntraceparent: 00-{TRACE}-{SPAN}-{flags}\r\n"


@pytest.mark.parametrize("given", [b"a", b"x" * 200, b"req_1:2/3~"])
def test_a_request_id_is_taken(given: bytes) -> None:
    assert trace.accept_request_id(given) == given.decode()


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 201, b"a\xe9", b"a\n", b"\x7f"])
def test_a_bad_request_id_is_not_taken(given: bytes) -> None:
    assert trace.accept_request_id(given) == ""
