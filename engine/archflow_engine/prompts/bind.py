"""The nodes of prompts made live: services with their pools, kinds opened, headers and system prompts resolved.

Rule: a service's addresses, its Host and the headers of a call come from the graph and the environment alone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from archflow_engine.ask import address, fits_a_host
from archflow_engine.hub import Hub
from archflow_engine.nodes.call import Callee, CallNode
from archflow_engine.nodes.fill import FillNode
from archflow_engine.nodes.frame import FrameNode
from archflow_engine.nodes.match import MatchNode
from archflow_engine.nodes.resume import ResumeNode
from archflow_engine.nodes.tell import TellNode
from archflow_engine.prompts.memory import Memory
from archflow_engine.prompts.resuming import Resuming
from archflow_engine.prompts.targets import TargetCall
from archflow_engine.upstream.pool import Origin, Pool
from archflow_engine.upstream.pooled import PooledService
from archflow_engine.walk import Runner
from archflow_plugins.kinds import Dialect, Kind, Matcher, SlotFiller, Store
from archflow_schema import graph as ir
from archflow_schema.errors import ArchflowError
from archflow_schema.text import Env, Secret, resolve

K = TypeVar("K", bound=Kind)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")


def _fits_a_header(value: str) -> bool:
    """Whether a value can stand in a header, RFC 9110 section 5.5."""
    return all(character == "\t" or " " <= character <= "\xff" for character in value) and "\x7f" not in value


class Opener(Protocol):
    """Opens a use of a kind once for all nodes that have the same."""

    def __call__(self, use: ir.Use, family: type[K], name: str) -> Awaitable[K]:
        """The live kind."""


class PromptBinder:
    """Makes the nodes of prompts of one graph."""

    def __init__(
        self,
        lookup: Callable[[Env | Secret], str],
        hub: Hub,
        opener: Opener,
        pool: Callable[[Origin], Pool],
    ) -> None:
        self._lookup = lookup
        self._hub = hub
        self._open = opener
        self._pool = pool
        self._pooled: list[PooledService] = []

    def reach(self, services: Sequence[ir.Service]) -> None:
        """Make the graph's services reachable.

        Raises:
            ArchflowError: an address or a Host is unusable.
        """
        self._pooled = [self._service(service) for service in services]

    def _service(self, service: ir.Service) -> PooledService:
        """A service's addresses with their pools."""
        lookup = self._lookup
        host = resolve(service.host, lookup)
        if not fits_a_host(host):
            raise ArchflowError(f"endpoint {service.name}: '{host}' is not usable as a Host header")
        addresses = []
        for text in service.addresses:
            origin, authority, _ = address(resolve(text, lookup))
            addresses.append((self._pool(origin._replace(connect=service.connect)), authority))
        return PooledService(service.name, addresses, host=host, affinity=service.affinity)

    async def _resuming(self, node: ir.Match | ir.Resume) -> Resuming:
        state, memory = node.state, None
        if state.store is not None:
            memory = Memory(await self._open(state.store, Store, node.name), state.seconds, self._hub)
        return Resuming(node.targets, tells=state.mode == "client", memory=memory)

    def _callee(self, target: ir.Target, dialects: dict[str, Dialect]) -> Callee:
        lookup = self._lookup
        headers = []
        for name, text in target.headers:
            value = resolve(text, lookup)
            if not _TOKEN.fullmatch(name) or not _fits_a_header(value):
                raise ArchflowError(f"prompt target {target.name}: the header {name} cannot be sent as it is")
            headers.append((name.encode("ascii"), value.encode("latin-1")))
        named = {place.variable for place in ir.places(target) if place.variable}
        return Callee(
            call=TargetCall(target, {one: lookup(Env(one)) for one in named}),
            service=self._pooled[target.service],
            headers=headers,
            system=resolve(target.system_prompt, lookup),
            dialect=dialects[target.history] if target.history else None,
        )

    async def runner(
        self,
        node: ir.Match | ir.Resume | ir.Fill | ir.Call | ir.Frame | ir.Tell,
        dialects: dict[str, Dialect],
    ) -> Runner:
        """The runner of a node. Blocks while its kind opens.

        Raises:
            ArchflowError: it cannot run.
        """
        if isinstance(node, ir.Match):
            matcher = await self._open(node.use, Matcher, node.name)
            return MatchNode(node.name, matcher, await self._resuming(node), node.timeout)
        if isinstance(node, ir.Resume):
            return ResumeNode(node.name, await self._resuming(node))
        if isinstance(node, ir.Fill):
            filler = await self._open(node.use, SlotFiller, node.name)
            return FillNode(node.name, filler, node.targets, node.timeout)
        if isinstance(node, ir.Frame):
            system = resolve(node.system_prompt, self._lookup)
            return FrameNode(node.name, system, forget=node.forget)
        if isinstance(node, ir.Tell):
            return TellNode(
                node.name,
                self._pooled[node.service],
                node.path,
                node.kind,
                dialects[node.dialect],
                node.timeout,
            )
        return CallNode(
            node.name,
            {target.name: self._callee(target, dialects) for target in node.targets},
            timeout=node.timeout,
            retries=node.retries,
            most=node.most,
            forget=node.forget,
        )
