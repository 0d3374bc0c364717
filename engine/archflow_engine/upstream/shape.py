"""The heads of an upstream's replies have the same lines in the same order: only ids, dates and lengths differ.

A Shape is learnt from a reply that the parser has read, and reads the next ones by one regular expression, in which
what may differ is open. It is a fifth of the parser's price with four headers, and a tenth with twenty.

Rule: it reads only what is certain: a plain reply that came whole in one read, with exactly one Content-Length, and
nothing that concerns the connection. All else is for the parser: other framings, interim replies, odd or folded lines.
Source: RFC 9112 sections 4 to 6.
"""

from __future__ import annotations

import re

from archflow_engine.upstream.call import NOT_RELAYED, ReplyHead

SHAPES = 4
"""Shapes that are remembered of one origin: making one costs as much as a hundred replies."""
LONGEST = 16_384
"""Bytes of a head that is learnt."""
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*(?<![ \t])\r\n"
"""A value that can be anything, but ends as the parser would end it: without a blank."""
_LENGTH = rb"[ \t]*(?P<length>[0-9]{1,15})\r\n"
_NO_BODY = frozenset({204, 205, 304})
_FOR_THE_PARSER = frozenset({b"transfer-encoding", b"proxy-connection", b"te", b"trailer", b"upgrade"})
_FIXED = frozenset({b"content-type", b"content-encoding", b"connection"})
"""Headers whose value must be the same again."""


class Shape:
    """Reads replies of one form.

    Args:
        pattern: matches a head, with the relayed lines and the length in groups.
        like: the head that it was learnt from.
    """

    __slots__ = ("_length", "_like", "_match")

    def __init__(self, pattern: re.Pattern[bytes], like: ReplyHead) -> None:
        self._match = pattern.match
        self._length = pattern.groupindex["length"] - 1
        self._like = like

    @classmethod
    def learn(cls, data: bytes) -> Shape | None:
        """From one read that the parser took for a whole reply that leaves the connection open."""
        end = data.find(b"\r\n\r\n", 0, LONGEST)
        first, *lines = data[: max(end, 0)].split(b"\r\n")
        found = _STATUS_LINE.fullmatch(first)
        if found is None or int(found[1]) in _NO_BODY:
            return None
        like = ReplyHead(int(found[1]))
        parts: list[tuple[bool, bytes]] = []
        lengths = 0
        for line in lines:
            found = _LINE.fullmatch(line)
            if found is None:
                return None
            raw, name, value = found[1], found[1].lower(), found[2].rstrip(b" \t")
            if name in _FOR_THE_PARSER or (name == b"connection" and value.lower() != b"keep-alive"):
                return None
            if name == b"content-length":
                lengths += 1
                parts.append((False, re.escape(raw) + b":" + _LENGTH))
                continue
            like.add(name, value)
            rest = re.escape(line[len(raw) + 1 :]) + b"\r\n" if name in _FIXED else _VALUE
            parts.append((name not in NOT_RELAYED, re.escape(raw) + b":" + rest))
        if lengths != 1:
            return None
        return cls(re.compile(re.escape(first) + b"\r\n" + _grouped(parts) + b"\r\n"), like)

    def read(self, data: bytes) -> tuple[ReplyHead, bytes] | None:
        """Head and body of the reply that `data` is; None if it is none of this shape, or not whole and alone."""
        match = self._match  # or it would be looked up as a method, which takes ten times as long
        found = match(data)
        if found is None:
            return None
        groups = found.groups()
        body = data[found.end() :]
        length = int(groups[self._length])
        if len(body) != length:
            return None
        like = self._like
        if len(groups) == 2:  # no line that stays here stands between those that go on
            raw = groups[1 - self._length]
        else:
            raw = b"".join(groups[: self._length] + groups[self._length + 1 :])
        return ReplyHead(
            like.status, length, like.content_type, like.content_encoding, like.request_id, raw
        ), body


def _grouped(parts: list[tuple[bool, bytes]]) -> bytes:
    """The lines one after another, neighbours that are relayed in one group."""
    pattern, open_group = b"", False
    for relayed, line in parts:
        if relayed != open_group:
            pattern += b"(" if relayed else b")"
            open_group = relayed
        pattern += line
    return pattern + (b")" if open_group else b"")
