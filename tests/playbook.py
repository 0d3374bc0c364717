"""Plays: tests that read as the conversation between a client, the gateway and its upstream.

    async with playing() as play:
        client = await play.client()
        await client.ask({"model": "m"})
        asked = await play.upstream.asked()
        await asked.reply({"id": "1"})
        reply = await client.reply()

The gateway is the real one, in the test's own trio run, on loopback sockets. When a play is over, nothing may be left
behind: no exchange, no deadline, no connection of a client, no file descriptor, no internal error.
"""

from __future__ import annotations

import atexit
import functools
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import trio
import trustme
from msgspec import structs

import play_kinds
from archflow_engine import load
from archflow_engine.gateway import Gateway
from archflow_engine.hub import Timed
from archflow_engine.metrics import TROUBLE, render
from archflow_engine.plan import Plan
from archflow_engine.upstream.pool import Pool
from archflow_plugins.record import Record
from archflow_plugins.registry import Registry
from archflow_schema import artifact
from archflow_schema import graph as g
from compiling import graph
from graphs import model_graph, provider
from peers import PATIENCE, Client, Notice, Upstream, connect
from peers_h2 import H2Client, H2Upstream

KEY = "sk-upstream-canary-0123456789"
ADDRESS = "127.0.0.1"
TRACER = g.Use("tracer.play")
QUOTAS = (g.Quota("x-team", "red", 100, 60), g.Quota("x-user", "", 100, 60))
WORDS = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
"""A request that guards can read."""
LONGEST = 20.0
"""Seconds after which a play has failed, whatever it waits for."""
RED = ("X-Arch-Ratelimit-Selector: x-team", "X-Team: red")
"""What a client of the team `red` sends."""


@functools.cache
def registry() -> Registry:
    """The built-ins, and the kinds of plays, which come by an entry point of their own."""
    folder = tempfile.TemporaryDirectory(prefix="archflow-play-")
    atexit.register(folder.cleanup)
    info = Path(folder.name, "archflow_play-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: archflow-play\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[archflow]\nplay = play_kinds\n")
    (info / "RECORD").write_text("")
    sys.path.append(folder.name)
    return Registry.load(["play"])


@functools.cache
def authority() -> trustme.CA:
    """Who signs the certificates of plays."""
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.cache
def folder() -> Path:
    """Where files of plays are kept."""
    kept = tempfile.TemporaryDirectory(prefix="archflow-play-")
    atexit.register(kept.cleanup)
    return Path(kept.name)


@functools.cache
def ca_file() -> str:
    """The bundle with the authority's certificate."""
    path = folder() / "ca.pem"
    authority().cert_pem.write_to_path(str(path))
    return str(path)


@functools.cache
def certificate(name: str = "localhost") -> g.Tls:
    """A certificate for a name, as files."""
    issued = authority().issue_cert(name)
    chain, key = folder() / f"{name}.pem", folder() / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(key))
    return g.Tls(str(chain), str(key))


def server_tls(name: str = "localhost", *protocols: str) -> ssl.SSLContext:
    """What an upstream speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = certificate(name)
    context.load_cert_chain(files.certificate, files.private_key)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def client_tls(*protocols: str) -> ssl.SSLContext:
    """What a client speaks TLS with."""
    context = ssl.create_default_context(cafile=ca_file())
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


class Play:
    """A gateway with its upstreams and clients.

    Attributes:
        records: what the tracer was told, in order.
        log: what the gateway logged: its fields, the event's name under `event`.
        trouble: how many internal errors the play is about; more or fewer fail it.
        outages: how many services that did not answer the play is about; more or fewer fail it.
    """

    def __init__(self, nursery: trio.Nursery, upstreams: list[Upstream], **graph: Any) -> None:
        self.records: list[Record] = []
        self.log: list[dict[str, Any]] = []
        self.trouble = 0
        self.outages = 0
        self.scene = play_kinds.set_scene()
        self.scene.tell = self._told
        self.nursery = nursery
        self.upstreams = upstreams
        self.notice = Notice()
        self.gateway = Gateway(self._logged, policy="any")
        self._graph = graph
        self._taken = 0
        self._clients: list[Client | H2Client] = []

    def graph(self, **changes: Any) -> g.Graph:
        """The play's graph, or one that differs."""
        options = {"tracers": (TRACER,), "upstream": {}, **self._graph, **changes}
        of_upstream = options.pop("upstream")
        urls = options.pop("urls", None) or [upstream.url for upstream in self.upstreams]
        upstreams = [
            provider(f"provider-{number}", url, registry=registry(), **of_upstream)
            for number, url in enumerate(urls)
        ]
        return model_graph(upstreams, registry=registry(), **options)

    async def swap(self, graph: g.Graph | None = None, **changes: Any) -> None:
        """Serve another graph."""
        with trio.fail_after(PATIENCE):
            await self.gateway.swap(program(graph or self.graph(**changes)))

    @property
    def plan(self) -> Plan:
        """The plan that new requests meet."""
        assert self.gateway.plan is not None
        return self.gateway.plan

    @property
    def upstream(self) -> Upstream:
        """The first upstream."""
        return self.upstreams[0]

    @property
    def h2_upstream(self) -> H2Upstream:
        """The first upstream, which speaks HTTP/2."""
        upstream = self.upstreams[0]
        assert isinstance(upstream, H2Upstream)
        return upstream

    def address(self, name: str = ADDRESS) -> tuple[str, int]:
        """Where the listener on an address takes clients."""
        return self.gateway.addresses[f"egress-{name}"]

    async def client(
        self, name: str = ADDRESS, *, tls: ssl.SSLContext | None = None, buffer: int = 0
    ) -> Client:
        """Connect a client."""
        client = Client(await connect(self.address(name), tls=tls, buffer=buffer))
        self._clients.append(client)
        return client

    async def h2(
        self, name: str = ADDRESS, *, tls: ssl.SSLContext | None = None, **settings: int
    ) -> H2Client:
        """Connect a client that speaks HTTP/2."""
        client = H2Client(await connect(self.address(name), tls=tls), self.nursery, **settings)
        self._clients.append(client)
        await client.open()
        return client

    async def record(self) -> Record:
        """The next record."""
        await self.notice.until(lambda: len(self.records) > self._taken)
        self._taken += 1
        return self.records[self._taken - 1]

    async def logged(self, event: str) -> dict[str, Any]:
        """The first log line of an event."""
        await self.notice.until(lambda: any(line["event"] == event for line in self.log))
        return next(line for line in self.log if line["event"] == event)

    async def settled(self, condition: Any) -> None:
        """Wait until something holds that nobody tells of; for what the gateway keeps to itself."""
        with trio.fail_after(PATIENCE):
            while not condition():
                await trio.sleep(0.002)

    @property
    def metrics(self) -> str:
        """The metrics' text."""
        return render(self.gateway.snapshot())

    def deadlines(self) -> list[Timed]:
        """What has a deadline, other than pools."""
        return [timed for timed in self.gateway.hub.timed if not isinstance(timed, Pool)]

    def _told(self, record: Record) -> None:
        self.records.append(record)
        self.notice.changed()

    def _logged(self, event: str, level: str = "info", **fields: Any) -> None:
        self.log.append({"event": event, "level": level, **fields})
        self.notice.changed()

    async def everybody_leaves(self) -> None:
        """Clients and upstreams close, also when the play was cut short."""
        with trio.CancelScope(shield=True):
            for client in self._clients:
                await client.leave()
            for upstream in self.upstreams:
                await upstream.leave()

    async def nothing_is_left(self) -> None:
        """Fail if the gateway still holds what it should have let go, or had errors of its own."""
        gateway = self.gateway
        fronts = list(gateway._fronts.values())
        try:
            await self.settled(
                lambda: (
                    (gateway.draining or not self.deadlines())
                    and not gateway.hub.parting
                    and not any(front.connections for front in fronts)
                    and not sum(plan.live for plan in gateway._plans)
                )
            )
        except trio.TooSlowError:
            live = sum(plan.live for plan in gateway._plans)
            raise AssertionError(
                f"left behind: deadlines {self.deadlines()}, parting {gateway.hub.parting}, exchanges {live}, "
                f"clients {[front.connections for front in fronts]}"
            ) from None
        troubles = [line for line in self.log if line["event"] == "internal_error"]
        counted = sum(gateway.metrics.snapshot(()).values.get(TROUBLE.name, {}).values())
        if len(troubles) != self.trouble or counted != self.trouble:
            errors = [line["exc_info"] for line in troubles]
            raise AssertionError(f"{len(troubles)} internal errors, not {self.trouble}: {errors}") from (
                errors[0] if errors else None
            )
        outages = [line["detail"] for line in self.log if line["event"] == "service_failed"]
        if len(outages) != self.outages:
            raise AssertionError(f"{len(outages)} services failed, not {self.outages}: {outages}")
        with trio.fail_after(PATIENCE):
            if not gateway.draining:
                await gateway.drain(PATIENCE)


def program(graph: g.Graph) -> load.Program:
    """A graph as archrun has it after loading."""
    return load.program(artifact.dump(graph), {"UPSTREAM_KEY": KEY}, {}, "test")


def compiled(text: str, listener: str = f"egress-{ADDRESS}", *, matcher: str = "") -> g.Graph:
    """The graph of a configuration with one listener, served where plays look for it and told to the play's tracer.

    `matcher`, if given, is who chooses agents.
    """
    made = graph(text)
    if matcher:
        nodes = tuple(
            structs.replace(one, use=g.Use(matcher)) if isinstance(one, g.Select) else one
            for one in made.nodes
        )
        made = structs.replace(made, nodes=nodes)
    kinds = {kind for one in made.requires for kind in one.kinds} | {
        TRACER.kind,
        *([matcher] if matcher else []),
    }
    return structs.replace(
        made,
        listeners=tuple(
            structs.replace(one, name=listener, address=ADDRESS, port=0) for one in made.listeners
        ),
        tracers=(TRACER,),
        requires=registry().requires(kinds),
    )


@asynccontextmanager
async def playing(*upstreams: Upstream, **graph: Any) -> AsyncIterator[Play]:
    """Run a gateway before upstreams (one that speaks HTTP/1.1, unless given); `graph` are options of its graph.

    `upstream` among them is a dict of options for each provider; `urls` replaces the upstreams' own.
    """
    registry()
    before = _descriptors()
    try:
        with trio.fail_after(LONGEST):
            async with trio.open_nursery() as nursery:
                scripted = list(upstreams) or [Upstream()]
                for upstream in scripted:
                    await upstream.open(nursery)
                play = Play(nursery, scripted, **graph)
                first = program(play.graph())
                with trio.fail_after(PATIENCE):
                    await nursery.start(
                        lambda *, task_status: play.gateway.run(first, task_status=task_status)
                    )
                try:
                    yield play
                    await play.everybody_leaves()
                    await play.nothing_is_left()
                finally:
                    await play.everybody_leaves()
                    nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        alone = _alone(group)
        if alone is None:
            raise
        raise alone from alone.__cause__
    after = _descriptors()
    assert len(after) <= len(before), (
        f"descriptors left open: {sorted(set(after.items()) - set(before.items()))}"
    )


def _alone(group: BaseExceptionGroup[BaseException]) -> BaseException | None:
    """The only exception of a group, however deep; a nursery's wrapping says nothing to a reader of a test."""
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        if len(inner.exceptions) != 1:
            return None
        inner = inner.exceptions[0]
    return inner


def _descriptors() -> dict[str, str]:
    found = {}
    for number in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that listed the folder
            found[number.name] = str(number.readlink())
    return found
