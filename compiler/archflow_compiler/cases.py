"""Cases that a router is judged by: conversations and the routes they belong to, from a YAML file, and the verdict.

::

    cases:
      - {prompt: write a function that sorts, route: code}
      - {prompt: thanks!, route: none}
      - route: story
        messages: [{role: user, content: a story, please}, {role: assistant, content: ...}, {role: user, content: more}]

Rule: a case of a route that the graph does not have is a mistake in the file, not a wrong answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from archflow_compiler.decode import Decoder
from archflow_compiler.source import Source, decode_text, parse
from archflow_compiler.tree import Places
from archflow_plugins.kinds import Choice
from archflow_schema.artifact import MAGIC
from archflow_schema.conversation import Conversation, Message, TextPart
from archflow_schema.diagnostic import Report
from archflow_schema.errors import ArchflowError
from archflow_schema.graph import Choose

FIRST = "cases:"
"""What a file of cases begins with."""
NONE = "none"
"""The route of a case that no preference is right for."""
SHOWN = 100
"""Characters of a prompt that are shown."""


class Turn(Struct, frozen=True):
    """A turn of a case.

    Attributes:
        role: user or assistant.
        content: what was said.
    """

    role: Literal["user", "assistant", "system"]
    content: str


class Case(Struct, frozen=True, kw_only=True):
    """A conversation and where it belongs.

    Attributes:
        prompt: a conversation of one turn.
        messages: a conversation of several turns.
        route: the routing preference that is right, or `none`.
    """

    prompt: str = ""
    messages: tuple[Turn, ...] = ()
    route: str

    @property
    def conversation(self) -> Conversation:
        """As routers see it."""
        turns = self.messages or (Turn("user", self.prompt),)
        return Conversation(
            messages=tuple(Message(role=one.role, parts=(TextPart(one.content),)) for one in turns)
        )

    @property
    def title(self) -> str:
        """Its newest words, in one line."""
        said = " ".join((self.messages[-1].content if self.messages else self.prompt).split())
        return said if len(said) <= SHOWN else said[: SHOWN - 1] + "…"


class Cases(Struct, frozen=True):
    """The file.

    Attributes:
        cases: what the router is judged by.
    """

    cases: tuple[Case, ...]


def read(path: Path) -> tuple[tuple[Case, ...], Report, Source]:
    """The cases of a file, and what is wrong with it.

    Raises:
        OSError: it cannot be read.
        ArchflowError: it is a graph.
    """
    report, data = Report(), path.read_bytes()
    if data.startswith(MAGIC):
        raise ArchflowError(
            f"{path} is a graph and holds no cases", fix="name the file of cases first, then the graph"
        )
    source = decode_text(str(path), data, report)
    tree = None if report.failed else parse(source, report, FIRST)
    if tree is None:
        return (), report, source
    places = Places(tree)
    found = Decoder(report, places).struct(tree, Cases)
    return (() if found is None else found.cases), report, source


class Failed(Struct, frozen=True):
    """A case that the router got wrong."""

    title: str
    route: str
    found: str
    reason: str
    confidence: float


class Judged(Struct, frozen=True, kw_only=True):
    """How a router did.

    Attributes:
        router: its kind.
        cases: how many.
        right: how many of them it got right.
        accuracy: the part of them, 0..1.
        confusion: route that is right, route that was found, how often.
        failed: those it got wrong.
    """

    router: str
    cases: int
    right: int
    accuracy: float
    confusion: tuple[tuple[str, str, int], ...]
    failed: tuple[Failed, ...]


def unknown(node: Choose, cases: Sequence[Case]) -> tuple[str, ...]:
    """Routes of cases that the graph does not have."""
    known = {NONE, *(route for route, _ in node.routes)}
    return tuple(sorted({case.route for case in cases} - known))


def judge(node: Choose, cases: Sequence[Case], choices: Sequence[Choice]) -> Judged:
    """Compare what was chosen with what is right."""
    routes = {route for route, _ in node.routes}
    counted: Counter[tuple[str, str]] = Counter()
    failed = []
    for case, choice in zip(cases, choices, strict=True):
        found = choice.option if choice.option in routes else NONE
        counted[case.route, found] += 1
        if found != case.route:
            failed.append(Failed(case.title, case.route, found, choice.reason, round(choice.confidence, 4)))
    right = len(cases) - len(failed)
    return Judged(
        router=node.use.kind,
        cases=len(cases),
        right=right,
        accuracy=right / len(cases) if cases else 0.0,
        confusion=tuple((truth, found, count) for (truth, found), count in sorted(counted.items())),
        failed=tuple(failed),
    )


def text(judged: Judged) -> str:
    """How a router did, in words."""
    lines = [f"{judged.router}: {judged.right} of {judged.cases} cases right, {judged.accuracy:.1%}"]
    lines += ["", *_matrix(judged)]
    if judged.failed:
        lines += ["", "wrong:"]
        lines += [
            f"  {one.title}\n    is {one.route}, found {one.found} ({one.reason}, confidence {one.confidence:.2f})"
            for one in judged.failed
        ]
    return "\n".join(lines) + "\n"


def _matrix(judged: Judged) -> Iterator[str]:
    """Rows are what is right, columns what was found."""
    counts = {(truth, found): count for truth, found, count in judged.confusion}
    names = sorted({name for truth, found, _ in judged.confusion for name in (truth, found)})
    width = max(map(len, names), default=0)
    yield " " * width + "".join(f"  {name:>{max(len(name), 4)}}" for name in names)
    for truth in names:
        row = "".join(f"  {counts.get((truth, found), 0) or '.':>{max(len(found), 4)}}" for found in names)
        yield f"{truth:<{width}}{row}"
