"""Taking a `base_url` apart: origin for the engine, path for the provider.

Forms: `http://localhost:8000`, `https://host/api/v2`, `https://openrouter.ai/api/v1`. A path replaces the vendor's own
prefix; without one, the vendor's prefix stands.

Rule: only http and https, no user name, no query: anything else raises BadUrl, whose text says what to do.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from archflow_plugins.providers.table import ENDS


class BadUrl(ValueError):
    """A `base_url` that cannot be used; the text is for the person who wrote it."""


class BaseUrl(Struct, frozen=True):
    """The two halves. `prefix` is None when the URL had no path."""

    origin: str
    prefix: str | None


def split(url: str) -> BaseUrl:
    """The two halves of a URL without references.

    Raises:
        BadUrl: it is no such URL.
    """
    if any(character <= " " or character == "\x7f" for character in url):
        raise BadUrl("it holds white space or control characters: remove them")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUrl(f"it is not a URL ({error})") from error
    if parts.scheme not in {"http", "https"}:
        raise BadUrl("its scheme is not http or https: write it like https://api.example.com")
    if not parts.hostname:
        raise BadUrl("it names no host: write it like https://api.example.com")
    if parts.username is not None or parts.password is not None:
        raise BadUrl("it holds a user name: put the key under access_key or headers instead")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise BadUrl("it has a query or a fragment: leave off everything after the path")
    path = parts.path.rstrip("/")
    for end in ENDS.values():
        if path.endswith(end):
            raise BadUrl(f"it ends in {end}, which archflow adds: leave that off")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return BaseUrl(f"{parts.scheme}://{host}" + (f":{port}" if port is not None else ""), path or None)
