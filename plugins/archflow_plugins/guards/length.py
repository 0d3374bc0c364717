"""The guard of length: characters, words and tokens, at least and at most, of what is asked or answered.

Tokens are estimated, as a quarter of the bytes: no two models count them alike.

Rule: an answer is counted as it comes; what leaves is never longer than is allowed, nor anything of what is too short.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from msgspec import Struct

from archflow_plugins.contexts import CompileContext
from archflow_plugins.guards.turns import USER, Whose, words
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Channel, Passed, Screen, Screens, Side, Verdict
from archflow_schema.conversation import Conversation

BYTES_OF_A_TOKEN = 4
UNITS = ("characters", "words", "tokens")


class LengthConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard of length. 0 means no limit.

    Attributes:
        max_characters: how long it may be.
        max_words: the same in words, which are what stands between white space.
        max_tokens: the same in tokens, estimated.
        min_characters: how long it must be.
        min_words: the same in words.
        min_tokens: the same in tokens.
        roles: of a request, whose turns are counted: `user`, `assistant`, `system`, `tool`.
        all_turns: of a request, count all of these turns together, and not the newest alone.
        message: what the client is told; by default, what is too long or too short.
    """

    max_characters: int = 0
    max_words: int = 0
    max_tokens: int = 0
    min_characters: int = 0
    min_words: int = 0
    min_tokens: int = 0
    roles: tuple[Whose, ...] = USER
    all_turns: bool = False
    message: str = ""


class Count(NamedTuple):
    """How long something is, and whether it ends within a word."""

    characters: int = 0
    words: int = 0
    size: int = 0
    within: bool = False

    @property
    def tokens(self) -> int:
        """As estimated."""
        return self.size // BYTES_OF_A_TOKEN

    def and_then(self, text: str) -> Count:
        """With more text behind it."""
        if not text:
            return self
        more = len(text.split())
        if self.within and more and not text[0].isspace():
            more -= 1
        return Count(
            self.characters + len(text),
            self.words + more,
            self.size + len(text.encode("utf-8", "surrogatepass")),
            not text[-1].isspace(),
        )


class LengthGuard(Guard):
    """Denies what is too long or too short."""

    kind = "guard.length"
    config = LengthConfig
    sides: ClassVar[tuple[Side, ...]] = ("input", "output")

    @classmethod
    def compile(cls, config: LengthConfig, ctx: CompileContext) -> Struct:
        limits = [f"{end}_{unit}" for unit in UNITS for end in ("max", "min")]
        for name in limits:
            if getattr(config, name) < 0:
                ctx.error("invalid-length", f"{name} must not be negative", name, fix="use 0 for no limit")
        if not any(getattr(config, name) for name in limits):
            ctx.error(
                "no-length", f"the guard {ctx.name} limits nothing", fix="set max_characters, for example"
            )
        for unit in UNITS:
            least, most = getattr(config, f"min_{unit}"), getattr(config, f"max_{unit}")
            if least > most > 0:
                ctx.error(
                    "invalid-length", f"nothing has {least} {unit} at least and {most} at most", f"min_{unit}"
                )
        if ctx.side == "output" and (config.roles != USER or config.all_turns):
            key = "roles" if config.roles != USER else "all_turns"
            ctx.error("no-roles", f"an answer is one turn of the model's, whatever `{key}` says", key)
        return config

    def check_nowait(self, conversation: Conversation) -> Verdict:
        count = Count()
        for text in words(conversation, self.settings.roles):
            count = count.and_then(text)._replace(within=False)
            if not self.settings.all_turns:
                break
        return self.too_long(count, "request") or self.too_short(count, "request") or ALLOW

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        def screen(channel: Channel) -> Screen | None:
            return _Counting(self) if channel == "text" else None

        return screen

    def too_long(self, count: Count, what: str) -> Verdict | None:
        """What is said of something that is."""
        for unit in UNITS:
            most = getattr(self.settings, f"max_{unit}")
            if most and getattr(count, unit) > most:
                return self._denied(what, f"it has more than {most} {unit}")
        return None

    def too_short(self, count: Count, what: str) -> Verdict | None:
        """What is said of something that is."""
        for unit in UNITS:
            least = getattr(self.settings, f"min_{unit}")
            if getattr(count, unit) < least:
                return self._denied(what, f"it has fewer than {least} {unit}")
        return None

    def _denied(self, what: str, why: str) -> Verdict:
        said = "denied" if what == "request" else "withheld"
        return Verdict(
            allow=False, message=self.settings.message or f"This {what} was {said}: {why}.", score=1.0
        )


class _Counting(Screen):
    """Counts an answer."""

    def __init__(self, guard: LengthGuard) -> None:
        self._guard = guard
        self._count = Count()
        self._held = 0

    def feed_nowait(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        self._count = count = self._count.and_then(text)
        denied = self._guard.too_long(count, "answer")
        if denied is not None:
            return denied
        self._held += len(text)
        short = self._guard.too_short(count, "answer")
        if short is not None:
            return short if end else ()
        length, self._held = self._held, 0
        return (Passed(length),) if length else ()
