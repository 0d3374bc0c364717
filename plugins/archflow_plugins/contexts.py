"""What a kind is given: a CompileContext while `archc` compiles it, a RunContext while `archrun` opens it.

Rule: these are the only doors. A kind never reads the environment, the configuration file or another kind's state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec

from archflow_schema.diagnostic import Diagnostic, Range, Report, Severity
from archflow_schema.graph import Blob
from archflow_schema.text import Env, Secret, Text, compile_text, references, resolve

T = TypeVar("T")


class Locate(Protocol):
    """Finds the range of a path below the kind's own configuration item."""

    def __call__(self, *path: str | int) -> Range | None:
        """The range of the value at `path`, or of the item itself for no path."""


class CompileContext:
    """What `Kind.compile` may use. One is made for each use of a kind.

    Attributes:
        name: the name of the item in the configuration, for messages.

    The compiler gives `secret`, which compiles a key at a path below the item and keeps a literal one out of the graph.
    """

    def __init__(
        self,
        name: str,
        report: Report,
        locate: Locate,
        secret: Callable[[str, tuple[str | int, ...]], Text] | None = None,
    ) -> None:
        self.name = name
        self._report = report
        self._locate = locate
        self._secret = secret
        self.texts: list[Text] = []
        self.blobs: list[Blob] = []

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

    def blob(self, data: bytes) -> str:
        """Keep bytes in the graph; returns the digest by which `RunContext.blob` finds them again."""
        digest = hashlib.sha256(data).hexdigest()
        if all(blob.digest != digest for blob in self.blobs):
            self.blobs.append(Blob(digest, data))
        return digest

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
        blobs: dict[str, bytes],
        clock: Callable[[], float],
        offload: Callable[[Callable[[], object]], Awaitable[object]],
        log: Callable[..., None],
    ) -> None:
        self.name = name
        self._lookup = lookup
        self._blobs = blobs
        self._offload = offload
        self.clock = clock
        """Seconds on a monotonic clock; the same clock as the engine's deadlines."""
        self.log = log
        """`log(event, **fields)`: one structured line; secrets are redacted."""

    def text(self, text: Text) -> str:
        """The value of a compiled Text. Raises KeyError for a name that is not set."""
        return resolve(text, self._lookup)

    def blob(self, digest: str) -> bytes:
        """Bytes that `CompileContext.blob` kept. Raises KeyError for an unknown digest."""
        return self._blobs[digest]

    async def offload(self, work: Callable[[], T]) -> T:
        """Run blocking work in the bounded thread pool. Blocks until it is done."""
        return await self._offload(work)  # type: ignore[return-value]


def environment_names(texts: list[Text] | tuple[Text, ...]) -> set[str]:
    """The environment variables that Texts refer to."""
    return {part.name for text in texts for part in references(text) if isinstance(part, Env)}


def secret_keys(texts: list[Text] | tuple[Text, ...]) -> set[str]:
    """The side-file entries that Texts refer to."""
    return {part.key for text in texts for part in references(text) if isinstance(part, Secret)}


def encode_compiled(value: msgspec.Struct) -> bytes:
    """A kind's compiled configuration as it is stored in the graph."""
    return msgspec.msgpack.encode(value, order="deterministic")
