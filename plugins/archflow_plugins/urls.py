"""URLs of what is asked at the client's own path: agents, filters."""

from __future__ import annotations


def behind(url: str, path: str) -> str:
    """A path behind that of a URL, which may hold the whole of it already; a query stays at the end."""
    base, mark, query = url.partition("?")
    base = base.rstrip("/")
    return (base if base.endswith(path) else base + path) + mark + query
