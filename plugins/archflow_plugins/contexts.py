"""What a kind is given: a CompileContext while `archc` compiles it, a RunContext while `archrun` opens it.

Rule: these are the only doors. A kind never reads the environment, the configuration file or another kind's state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar

import msgspec
from msgspec import Struct

from archflow_plugins.verdict import Side
from archflow_schema.conversation import Conversation
from archflow_schema.diagnostic import Diagnostic, Range, Report, Severity
from archflow_schema.graph import Blob, LocalModel
from archflow_schema.reply import Reply
from archflow_schema.slots import Intent
from archflow_schema.text import Env, Secret, Text, compile_text, references, resolve

T = TypeVar("T")


class Locate(Protocol):
    """Finds the range of a path below the kind's own configuration item."""

    def __call__(self, *path: str | int) -> Range | None:
        """The range of the value at `path`, or of the item itself for no path."""


class Option(Struct, frozen=True, kw_only=True):
    """Something to choose among, told in words: a prompt target, a routing preference, an agent.

    Attributes:
        name: unique among the options of one choice.
        description: when it is the right one.
        examples: what people say then, as far as the configuration tells.
    """

    name: str
    description: str
    examples: tuple[str, ...] = ()


class Answered(Struct, frozen=True):
    """What a service answered: status, content type (lower case), headers (lower-case names), whole body."""

    status: int
    content_type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Ask(Protocol):
    """Asks a model of the graph."""

    async def __call__(self, model: str, conversation: Conversation, timeout: float) -> Reply:  # noqa: ASYNC109
        """As `RunContext.ask`."""


class Fetch(Protocol):
    """Asks a service."""

    async def __call__(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        timeout: float,  # noqa: ASYNC109
    ) -> Answered:
        """As `RunContext.fetch`."""


Watch = Callable[[str, int, int], None]
"""Hears how far something is that takes a while: what is done, how much of it, and of how much."""


class CompileContext:
    """What `Kind.compile` may use. One is made for each use of a kind.

    Attributes:
        name: the name of the item in the configuration, for messages.
        options: for a matcher or a router: what it chooses among.
        intents: for a slot filler: the targets whose slots it fills.
        side: for a guard: whether it judges requests (`input`) or replies (`output`).

    The compiler gives `secret`, which compiles a key at a path below the item and keeps a literal one out of the graph,
    `models`, which knows the configured models by all their names, and `watch`, which shows progress.
    """

    def __init__(
        self,
        name: str,
        report: Report,
        locate: Locate,
        secret: Callable[[str, tuple[str | int, ...]], Text] | None = None,
        models: Callable[[str], str] | None = None,
        options: tuple[Option, ...] = (),
        intents: tuple[Intent, ...] = (),
        side: Side = "input",
        watch: Watch | None = None,
    ) -> None:
        self.name = name
        self.side = side
        self.options = options
        self.intents = intents
        self._report = report
        self._locate = locate
        self._secret = secret
        self._models = models
        self._watch = watch
        self.texts: list[Text] = []
        self.blobs: list[Blob] = []
        self.local_models: list[LocalModel] = []

    def text(self, raw: str, *path: str | int, secret: bool = False) -> Text:
        """Compile a string that may name environment variables, and record what it names.

        Args:
            raw: the string as it stands in the YAML.
            path: where it stands, below the kind's item.
            secret: True for a key or token: a literal one is then kept out of the graph, with a warning.
        """
        compiled = self._secret(raw, path) if secret and self._secret is not None else compile_text(raw)
        self.texts.append(compiled)
        return compiled

    def model(self, name: str, *path: str | int) -> str:
        """The model that `RunContext.ask` asks by this name, which may be an alias; a name nobody knows is reported.

        Args:
            name: a configured model, by any of its names.
            path: where it stands, below the kind's item.
        """
        found = self._models(name) if self._models is not None else name
        if not found:
            self.error(
                "unknown-model",
                f"there is no model '{name}' among the providers",
                *path,
                fix="add it under model_providers, or name one that is there",
            )
        return found

    def blob(self, data: bytes) -> str:
        """Keep bytes in the graph; returns the digest by which `RunContext` finds them again."""
        digest = hashlib.sha256(data).hexdigest()
        if all(blob.digest != digest for blob in self.blobs):
            self.blobs.append(Blob(digest, memoryview(data)))
        return digest

    def needs(self, model: LocalModel) -> None:
        """Record a local model that the kind opens: it is shown, and goes into a bundle."""
        if model not in self.local_models:
            self.local_models.append(model)

    def progress(self, what: str, done: int, total: int) -> None:
        """Say how far something is that takes longer than a moment; it is shown while it is so.

        Args:
            what: is done.
            done: how much of it.
            total: of how much; 0 where nobody knows.
        """
        if self._watch is not None:
            self._watch(what, done, total)

    def error(self, code: str, summary: str, *path: str | int, detail: str = "", fix: str = "") -> None:
        """Report a mistake of the user at `path` below the kind's item; compiling goes on."""
        self._say("error", code, summary, path, detail, fix)

    def warning(self, code: str, summary: str, *path: str | int, detail: str = "", fix: str = "") -> None:
        """Report something doubtful at `path` below the kind's item."""
        self._say("warning", code, summary, path, detail, fix)

    def _say(
        self, severity: Severity, code: str, summary: str, path: tuple[str | int, ...], detail: str, fix: str
    ) -> None:
        self._report.add(
            Diagnostic(
                code=code,
                severity=severity,
                summary=summary,
                detail=detail,
                fix=fix,
                range=self._locate(*path),
            )
        )


class RunContext:
    """What `Kind.open` may use. One is made for each use of a kind in a bound graph.

    Attributes:
        name: the node's or upstream's name, for logs and spans.
    """

    def __init__(
        self,
        name: str,
        *,
        lookup: Callable[[Env | Secret], str],
        blobs: Mapping[str, memoryview],
        clock: Callable[[], float],
        offload: Callable[[Callable[[], object]], Awaitable[object]],
        log: Callable[..., None],
        ask: Ask | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        self.name = name
        self._lookup = lookup
        self._blobs = blobs
        self._offload = offload
        self._ask = ask
        self._fetch = fetch
        self.clock = clock
        """Seconds on a monotonic clock; the same clock as the engine's deadlines."""
        self.log = log
        """`log(event, **fields)`: one structured line; secrets are redacted."""

    def text(self, text: Text) -> str:
        """The value of a compiled Text. Raises KeyError for a name that is not set."""
        return resolve(text, self._lookup)

    def blob(self, digest: str) -> bytes:
        """Bytes that `CompileContext.blob` kept, as a copy of one's own. Raises KeyError for an unknown digest."""
        return bytes(self._blobs[digest])

    def view(self, digest: str) -> memoryview:
        """The same where they lie in graph.bin, read-only and aligned; all workers share the memory."""
        return self._blobs[digest]

    async def offload(self, work: Callable[[], T]) -> T:
        """Run blocking work in the bounded thread pool. Blocks until it is done."""
        return await self._offload(work)  # type: ignore[return-value]

    async def ask(self, model: str, conversation: Conversation, *, timeout: float) -> Reply:  # noqa: ASYNC109
        """Ask a model of the graph and wait for its whole reply. Blocks; cancelled when the client leaves.

        Args:
            model: what `CompileContext.model` gave.
            conversation: what to ask; its own `model` and `stream` are not looked at.
            timeout: seconds for all of it.

        Raises:
            UpstreamError: there is no reply, or it is an error's.
            ClientProtocolError: the model's dialect has no words for the conversation.
        """
        if self._ask is None:
            raise RuntimeError(f"{self.name} was opened without models to ask")
        return await self._ask(model, conversation, timeout)

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        timeout: float,  # noqa: ASYNC109
    ) -> Answered:
        """Ask a service of the configuration and wait for its whole answer. Blocks; cancelled when the client leaves.

        Args:
            method: the HTTP method.
            url: http or https. Scheme and host come from the configuration, never from a conversation.
            headers: lower-case names, complete but for framing.
            body: the whole body.
            timeout: seconds for all of it.

        Raises:
            UpstreamError: there is no answer; one with an error's status is an answer.
        """
        if self._fetch is None:
            raise RuntimeError(f"{self.name} was opened without a network")
        return await self._fetch(method, url, headers, body, timeout)


def environment_names(texts: list[Text] | tuple[Text, ...]) -> set[str]:
    """The environment variables that Texts refer to."""
    return {part.name for text in texts for part in references(text) if isinstance(part, Env)}


def secret_keys(texts: list[Text] | tuple[Text, ...]) -> set[str]:
    """The side-file entries that Texts refer to."""
    return {part.key for text in texts for part in references(text) if isinstance(part, Secret)}


def encode_compiled(value: msgspec.Struct) -> bytes:
    """A kind's compiled configuration as it is stored in the graph."""
    return msgspec.msgpack.encode(value, order="deterministic")
