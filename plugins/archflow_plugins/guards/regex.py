"""The guard of patterns and words: denies turns that hold something, or that hold nothing of what is allowed.

Patterns are searched in linear time, whatever they and the texts are; words are found whole, whatever stands between
and around them.

Rule: what a turn says is never logged, and stands in no error.
Rule: a long turn is read in a thread, not on the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct, structs

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.guards.automaton import Automaton, Scan
from archflow_plugins.guards.long import Reading, read
from archflow_plugins.guards.pattern import BadPattern
from archflow_plugins.guards.spoken import Entries, Spoken, tokens
from archflow_plugins.guards.turns import USER, Whose, words
from archflow_plugins.guards.whole import Whole, readable
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Channel, Passed, Screen, Screens, Side, Verdict
from archflow_schema.conversation import Conversation

MESSAGE = "This request was denied: it holds something that is not allowed here."
OF_REPLIES = "This answer was withheld: it holds something that is not allowed here."
"""What a client is told of an answer, unless the configuration says something else."""
AT_ONCE = 8192
"""Characters that are read on the event loop; more of them are read in a thread."""
LONGEST = 8
"""Words of one entry."""


class RegexConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard of patterns and words.

    Attributes:
        deny: patterns; a turn in which one is found is denied.
        deny_words: words, or several in a row; a turn in which they stand is denied, in any case.
        allow: patterns; if there are any, a turn in which none is found is denied, unless one of allow_words is.
        allow_words: words, as above.
        ignore_case: whether patterns find either case.
        roles: whose turns are judged: `user`, `assistant`, `system`, `tool`.
        message: what the client is told.
        window: of an answer that is streamed, the characters that are held back for a pattern whose finds have no
            longest one.
    """

    deny: tuple[str, ...] = ()
    deny_words: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    allow_words: tuple[str, ...] = ()
    ignore_case: bool = True
    roles: tuple[Whose, ...] = USER
    message: str = MESSAGE
    window: int = 1024


class RegexGuard(Guard):
    """Denies by patterns and words.

    Attributes:
        deny, allow: what is looked for.
    """

    kind = "guard.regex"
    config = RegexConfig
    waits = True
    sides: ClassVar[tuple[Side, ...]] = ("input", "output")

    @classmethod
    def compile(cls, config: RegexConfig, ctx: CompileContext) -> Struct:
        if not (config.deny or config.deny_words or config.allow or config.allow_words):
            ctx.error(
                "nothing-to-find",
                "the regex guard has nothing to look for",
                fix="give it `deny`, `deny_words`, `allow` or `allow_words`",
            )
        for key in ("deny", "allow"):
            patterns: tuple[str, ...] = getattr(config, key)
            usable = [_usable(one, config, ctx, key, number) for number, one in enumerate(patterns)]
            if all(usable):
                _check_all(patterns, config, ctx, key)
            for number, entry in enumerate(getattr(config, f"{key}_words")):
                if not 1 <= len(tokens(entry)) <= LONGEST:
                    ctx.error(
                        "bad-words",
                        f"'{entry}' is not one to {LONGEST} words",
                        f"{key}_words",
                        number,
                        fix=f"write a pattern under `{key}` instead",
                    )
        if not config.message.strip():
            ctx.error("empty-message", "a client that is denied is told nothing", "message", fix="say why")
        if config.window < 1:
            ctx.error("invalid-window", "a window must hold at least 1 character", "window")
        if ctx.side == "output" and config.roles != USER:
            ctx.error(
                "no-roles", "an answer is the model's, whatever `roles` says", "roles", fix="leave it out"
            )
        if ctx.side == "output" and config.message == MESSAGE:
            return structs.replace(config, message=OF_REPLIES)
        return config

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self.deny = _Finder(compiled.deny, compiled.deny_words, ignore_case=compiled.ignore_case)
        self.allow = _Finder(compiled.allow, compiled.allow_words, ignore_case=compiled.ignore_case)

    async def check(self, conversation: Conversation) -> Verdict:
        for text in words(conversation, self.settings.roles):
            long = len(text) > AT_ONCE  # not by `read`, whose coroutine costs each turn a tenth
            if await self.ctx.offload(partial(self._denies, text)) if long else self._denies(text):
                return Verdict(allow=False, message=self.settings.message, score=1.0)
        return ALLOW

    def _denies(self, text: str) -> bool:
        if self.deny.finds(text):
            return True
        return self.allow.needed and not self.allow.finds(text)

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        return self._screen

    def _screen(self, channel: Channel) -> Screen | None:
        denied = Verdict(allow=False, message=self.settings.message, score=1.0)
        if channel == "text":
            return _Screen(self, denied, allow=True)
        if not self.deny.needed:
            return None
        if channel != "arguments":
            return _Screen(self, denied, allow=False)

        async def judge(arguments: str) -> Verdict:
            text = readable(arguments)
            found = await read(self.ctx, partial(self.deny.finds, text), long=len(text) > AT_ONCE)
            return denied if found else ALLOW

        return Whole(judge)


class _Finder:
    """Patterns and words, any of which is found in a text or not.

    Attributes:
        needed: whether there is anything to find.
    """

    def __init__(self, patterns: tuple[str, ...], entries: tuple[str, ...], *, ignore_case: bool) -> None:
        self.needed = bool(patterns or entries)
        self._automaton = Automaton(patterns, ignore_case=ignore_case) if patterns else None
        self._entries = Entries(entries) if entries else None

    def finds(self, text: str) -> bool:
        if self._automaton is not None and self._automaton.search(text):
            return True
        return self._entries is not None and self._entries.search(text)

    def scans(self, window: int) -> list[Scan | Spoken]:
        """Searches through one text that comes in portions."""
        found: list[Scan | Spoken] = []
        if self._automaton is not None:
            found.append(self._automaton.scan(window))
        if self._entries is not None:
            found.append(Spoken(self._entries))
        return found


class _Screen(Reading):
    """Lets go what no more text can make wrong; if something must be found, nothing before it is."""

    def __init__(self, guard: RegexGuard, denied: Verdict, *, allow: bool) -> None:
        super().__init__(guard.ctx, AT_ONCE)
        window = guard.settings.window
        self._denied = denied
        self._deny = guard.deny.scans(window)
        self._allow = guard.allow.scans(window) if allow else []
        self._fed = self._left = 0

    def judge(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        self._fed += len(text)
        if any(scan.feed(text, end=end) for scan in self._deny):
            return self._denied
        if self._allow:
            if any(scan.feed(text, end=end) for scan in self._allow):
                self._allow = []
            else:
                return self._denied if end else ()
        safe = self._fed if end else min((scan.safe for scan in self._deny), default=self._fed)
        length, self._left = safe - self._left, safe
        return (Passed(length),) if length else ()


def _usable(pattern: str, config: RegexConfig, ctx: CompileContext, key: str, number: int) -> bool:
    """Whether a pattern can be searched for; what is wrong with it is reported."""
    try:
        one = Automaton((pattern,), ignore_case=config.ignore_case)
    except BadPattern as error:
        ctx.error("bad-pattern", f"the pattern cannot be used: {error}", key, number)
        return False
    if one.search("") and one.search("a") and one.search("-"):
        ctx.error(
            "finds-everything",
            "the pattern is found in every text",
            key,
            number,
            detail="it may be empty, and what may be empty stands everywhere",
            fix="say what must be there, with + instead of *",
        )
    return True


def _check_all(patterns: tuple[str, ...], config: RegexConfig, ctx: CompileContext, key: str) -> None:
    """Report patterns that can be searched for one by one, and not together."""
    try:
        Automaton(patterns, ignore_case=config.ignore_case)
    except BadPattern as error:
        ctx.error("bad-pattern", f"the patterns cannot be used together: {error}", key)
