"""Amazon's Signature Version 4: the headers that prove who asks, for a request whose body is at hand. Sans-IO.

Source: AWS documentation "Create a signed AWS API request", 2026-11; tests hold it against botocore's `SigV4Auth`.

Rule: a path is signed as it is sent, encoded once more: that is what every service but S3 expects.
Rule: only the headers that are given are signed; others may be added on the way.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

from msgspec import Struct

ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(Struct, frozen=True):
    """Who asks. `token` comes with temporary credentials."""

    access_key: str
    secret_key: str
    token: str = ""


class Signer:
    """Signs requests to one service in one region."""

    def __init__(self, region: str, service: str) -> None:
        self._region = region
        self._service = service
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def sign(
        self,
        credentials: Credentials,
        *,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> dict[str, str]:
        """The headers to add: `x-amz-date`, `authorization`, and the token of temporary credentials.

        Args:
            credentials: who asks.
            method: the HTTP method.
            path: as it is sent: encoded, with the query if there is one.
            headers: those to sign, lower-case names; `host` among them.
            body: the whole body.
            now: in UTC.
        """
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        added = {"x-amz-date": stamp}
        if credentials.token:
            added["x-amz-security-token"] = credentials.token
        signed = {**headers, **added}
        names = sorted(signed)
        place, _, query = path.partition("?")
        listed = ";".join(names)
        request = "\n".join(
            (
                method,
                quote(_normal(place), safe="/~"),
                _sorted_query(query),
                *(f"{name}:{' '.join(signed[name].split())}" for name in names),
                "",
                listed,
                sha256(body).hexdigest(),
            )
        )
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = "\n".join((ALGORITHM, stamp, scope, sha256(request.encode()).hexdigest()))
        key = self._signing_key(credentials.secret_key, stamp[:8])
        signature = hmac.new(key, text.encode(), sha256).hexdigest()
        added["authorization"] = (
            f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={listed}, Signature={signature}"
        )
        return added

    def _signing_key(self, secret: str, day: str) -> bytes:
        """The key of a day, which four hashes make; kept until day or secret change."""
        if self._key[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.new(key, part.encode(), sha256).digest()
            self._key = (secret, day, key)
        return self._key[2]


def _normal(path: str) -> str:
    """A path without empty and dot segments, RFC 3986 section 5.2.4, as AWS has it."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in {"", "."}:
            kept.append(segment)
    first = "/" if path.startswith("/") else ""
    last = "/" if path.endswith("/") and kept else ""
    return f"{first}{'/'.join(kept)}{last}" or "/"


def _sorted_query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else []
    return "&".join(f"{name}={value}" for name, value in pairs)
