"""A graph while it is made: nodes get their index when they are added, so what an edge leads to is added first.

Rule: the only place that calls `Kind.compile`; what it names and keeps is collected here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from archflow_compiler.passes.models import Names
from archflow_compiler.secrets import Vault, entry_name
from archflow_compiler.tree import Path
from archflow_compiler.unit import Unit
from archflow_plugins.contexts import (
    CompileContext,
    Option,
    Watch,
    encode_compiled,
    environment_names,
    secret_keys,
)
from archflow_plugins.kinds import Kind
from archflow_plugins.registry import Registry
from archflow_plugins.verdict import Side
from archflow_schema.config import Config
from archflow_schema.diagnostic import Range
from archflow_schema.errors import spelt
from archflow_schema.graph import (
    Blob,
    Edge,
    Listener,
    LocalModel,
    Node,
    Origin,
    Reply,
    Service,
    Upstream,
    Use,
)
from archflow_schema.slots import Intent
from archflow_schema.text import Text, compile_text


class Draft:
    """The parts of a graph so far, and what is needed to make more.

    Attributes:
        unit, names, registry, vault: what lowering reads.
        nodes, upstreams, services, listeners, tracers: the parts.
        kinds: dotted names of the kinds in use.
        texts: every Text that the graph holds.
        blobs: what kinds compiled, by digest.
        local_models: the models that kinds open in the gateway's own process.
        dialects: what is spoken besides the dialects of endpoints.
        asked: the configured models that the kind asks that was compiled last.
        agents: the nodes that ask agents, by id.

    `watch` hears how far kinds are that take a while.
    """

    def __init__(self, unit: Unit, names: Names, registry: Registry, watch: Watch | None = None) -> None:
        self.unit = unit
        self.names = names
        self.registry = registry
        self.vault = Vault(unit)
        self.nodes: list[Node] = []
        self.upstreams: list[Upstream] = []
        self.services: list[Service] = []
        self.listeners: list[Listener] = []
        self.tracers: list[Use] = []
        self.kinds: set[str] = set()
        self.texts: list[Text] = []
        self.blobs: dict[str, Blob] = {}
        self.local_models: set[LocalModel] = set()
        self.dialects: set[str] = set()
        self.asked: set[str] = set()
        self.agents: dict[str, int] = {}
        self._watch = watch
        self._replies: dict[tuple[int, str, str], int] = {}

    @property
    def config(self) -> Config:
        """The configuration that is lowered."""
        return self.unit.config

    def add(self, node: Node) -> int:
        """Add a node; its index."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def reply(
        self, name: str, status: int, code: str, *, form: Literal["dialect", "chain"] = "dialect"
    ) -> int:
        """The node that answers with an error; the same error is answered by one node."""
        key = (status, code, form)
        if key not in self._replies:
            self._replies[key] = self.add(Reply(name=name, status=status, code=code, form=form))
        return self._replies[key]

    def text(self, raw: str) -> Text:
        """A string that may name the environment, as the graph holds it."""
        text = compile_text(raw)
        self.texts.append(text)
        return text

    def dialect(self, name: str) -> None:
        """The graph speaks a dialect, whether a listener does or not."""
        self.dialects.add(name)
        self.kinds.add(f"dialect.{name}")

    def origin(self, *path: str | int) -> Origin:
        """Where something was said."""
        if not self.unit.places.said(*path):
            return Origin()
        place = self.unit.places.value(*path)
        return Origin(file=own_name(place.file), line=place.line)

    def use(
        self,
        kind: type[Kind],
        config: Struct,
        name: str,
        at: Path,
        entry: str,
        options: tuple[Option, ...] = (),
        intents: tuple[Intent, ...] = (),
        *,
        side: Side = "input",
    ) -> tuple[Use, Struct] | None:
        """Let a kind compile its configuration.

        Args:
            kind: the kind.
            config: its decoded configuration.
            name: what messages call this use.
            at: where its configuration stands.
            entry: what the names of its secrets begin with.
            options: what it chooses among.
            intents: whose slots it fills.
            side: for a guard: what it judges.

        Returns:
            What the graph stores, as bytes and as a value; None if the kind failed, which is reported.
        """
        unit = self.unit
        self.asked = set()

        def locate(*path: str | int) -> Range | None:
            return unit.places.value(*at, *path)

        def secret(raw: str, path: Path) -> Text:
            return self.vault.text(raw, entry_name(entry, *path), (*at, *path))

        def model(asked: str) -> str:
            found = self.names.called(asked)
            if found is not None:
                self.asked.add(found.name)
            return found.name if found is not None else ""

        ctx = CompileContext(name, unit.report, locate, secret, model, options, intents, side, self._watch)
        try:
            compiled = kind.compile(config, ctx)
            stored = encode_compiled(compiled)
        except Exception as error:  # noqa: BLE001 - a plugin's bug must not look like ours
            unit.error(
                "kind-failed",
                f"the kind {kind.kind} could not compile this: {type(error).__name__}: {error}",
                unit.places.value(*at),
                detail=f"this is a mistake in the plugin that offers {kind.kind}",
            )
            return None
        self.kinds.add(kind.kind)
        self.texts += ctx.texts
        for blob in ctx.blobs:
            self.blobs[blob.digest] = blob
        self.local_models.update(ctx.local_models)
        return Use(kind.kind, stored), compiled

    @property
    def environment(self) -> tuple[str, ...]:
        """The variables that the graph refers to."""
        return tuple(sorted(environment_names(self.texts)))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The side-file entries that the graph refers to."""
        return tuple(sorted(secret_keys(self.texts)))


class Once:
    """A node that is made when something first leads to it."""

    def __init__(self, make: Callable[[], int]) -> None:
        self._make = make
        self._made: int | None = None

    def __call__(self) -> int:
        """The node."""
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def made(self) -> bool:
        """Whether something leads to it."""
        return self._made is not None


def edges(**targets: int) -> tuple[Edge, ...]:
    """Edges by outcome: `edges(allow=3, deny=0)`."""
    return tuple(Edge(outcome, target) for outcome, target in targets.items())


def own_name(file: str) -> str:
    """The last part of a file's name; bytes in it that are no UTF-8, which a graph cannot hold, are spelt out."""
    return spelt(file.rpartition("/")[2])
