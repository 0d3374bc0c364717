"""The filter protocol of Arch's successor: the body is posted as it is, and what comes back goes on in its place.

The client's path stands behind the filter's URL, so that the filter knows which API the body is of.
"""

from __future__ import annotations

from archflow_plugins.filters.asking import ServiceFilter, behind


class HttpFilter(ServiceFilter):
    """Posts bodies to a service."""

    kind = "filter.http"

    async def request(self, path: str, body: bytes) -> bytes:
        return (await self.asked(behind(self.url, path), body, (("accept", "application/json"),))).body
