"""Content-encodings of upstreams undone, for replies that are read and not only relayed.

Rule: memory is bounded: what a few bytes swell to is handed on in portions.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from archflow_schema.errors import UpstreamProtocolError

PORTION = 1 << 20
"""Bytes handed on at once."""
GZIP_OR_ZLIB = 47
"""What zlib calls either format."""
PLAIN = frozenset({b"", b"identity"})
"""Content-encodings that are none."""
READABLE = frozenset({b"gzip", b"x-gzip", b"deflate"})
"""Content-encodings that are undone here."""
ACCEPTED = b"gzip, deflate"
"""`accept-encoding` where a reply is to be read."""


class Inflater:
    """Undoes one body's content-encoding."""

    def __init__(self, encoding: bytes) -> None:
        """Raises UpstreamProtocolError for an encoding that nobody asked for."""
        if encoding not in READABLE:
            name = encoding.decode("latin-1")
            raise UpstreamProtocolError(
                f"the upstream's reply is encoded as '{name}', which was not asked for"
            )
        self._inflate = zlib.decompressobj(GZIP_OR_ZLIB)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bytes that these stand for, in portions.

        Raises:
            UpstreamProtocolError: they are damaged.
        """
        try:
            while data:
                yield self._inflate.decompress(data, PORTION)
                data = self._inflate.unconsumed_tail
        except zlib.error as error:
            raise UpstreamProtocolError(f"the upstream's reply cannot be decompressed: {error}") from error
