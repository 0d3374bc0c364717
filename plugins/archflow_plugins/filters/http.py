"""The filter protocol of Arch's successor: the body is posted as it is, and what comes back goes on in its place.

The client's path stands behind the filter's URL, so that the filter knows which API the body is of. Of a streamed reply
the events are posted as they come, with their own content type.
"""

from __future__ import annotations

from archflow_plugins.filters.asking import EVENTS, JSON, ServiceFilter
from archflow_plugins.urls import behind


class HttpFilter(ServiceFilter):
    """Posts bodies to a service."""

    kind = "filter.http"
    sides = ("input", "output")

    async def request(self, path: str, body: bytes) -> bytes:
        return await self._through(path, body, JSON)

    async def reply(self, path: str, body: bytes, *, stream: bool) -> bytes:
        return await self._through(path, body, EVENTS if stream else JSON)

    async def _through(self, path: str, body: bytes, of: str) -> bytes:
        return (await self.asked(behind(self.url, path), body, (("accept", of),), of=of)).body
