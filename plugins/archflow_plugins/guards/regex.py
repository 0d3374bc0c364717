"""The guard of patterns and words: denies turns that hold something, or that hold nothing of what is allowed.

Patterns are searched in linear time, whatever they and the texts are; words are found whole, whatever stands between
and around them.

Rule: what a turn says is never logged, and stands in no error.
Rule: a long turn is read in a thread, not on the event loop.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.guards.automaton import Automaton
from archflow_plugins.guards.pattern import BadPattern
from archflow_plugins.guards.turns import USER, Whose, words
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Verdict
from archflow_schema.conversation import Conversation

MESSAGE = "This request was denied: it holds something that is not allowed here."
AT_ONCE = 8192
"""Characters that are read on the event loop; more of them are read in a thread."""
LONGEST = 8
"""Words of one entry."""
_TOKENS = re.compile(r"\w+")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))


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
    """

    deny: tuple[str, ...] = ()
    deny_words: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    allow_words: tuple[str, ...] = ()
    ignore_case: bool = True
    roles: tuple[Whose, ...] = USER
    message: str = MESSAGE


class RegexGuard(Guard):
    """Denies by patterns and words."""

    kind = "guard.regex"
    config = RegexConfig
    waits = True

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
            for number, pattern in enumerate(patterns):
                _check(pattern, config, ctx, key, number)
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
        return config

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        self._deny = _Finder(compiled.deny, compiled.deny_words, ignore_case=compiled.ignore_case)
        self._allow = _Finder(compiled.allow, compiled.allow_words, ignore_case=compiled.ignore_case)

    async def check(self, conversation: Conversation) -> Verdict:
        for text in words(conversation, self.settings.roles):
            if len(text) <= AT_ONCE:
                denied = self._denies(text)
            else:
                denied = await self.ctx.offload(lambda text=text: self._denies(text))  # type: ignore[misc]
            if denied:
                return Verdict(allow=False, message=self.settings.message, score=1.0)
        return ALLOW

    def _denies(self, text: str) -> bool:
        if self._deny.finds(text):
            return True
        return self._allow.needed and not self._allow.finds(text)


class _Finder:
    """Patterns and words, any of which is found in a text or not.

    Attributes:
        needed: whether there is anything to find.
    """

    def __init__(self, patterns: tuple[str, ...], entries: tuple[str, ...], *, ignore_case: bool) -> None:
        self.needed = bool(patterns or entries)
        self._automaton = Automaton(patterns, ignore_case=ignore_case) if patterns else None
        self._entries: dict[int, set[tuple[str, ...]]] = {}
        for entry in entries:
            row = tokens(entry)
            self._entries.setdefault(len(row), set()).add(row)

    def finds(self, text: str) -> bool:
        if self._automaton is not None and self._automaton.search(text):
            return True
        if not self._entries:
            return False
        spoken = tokens(text)
        return any(
            not rows.isdisjoint(zip(*(spoken[at:] for at in range(length)), strict=False))
            for length, rows in self._entries.items()
        )


def tokens(text: str) -> tuple[str, ...]:
    """The words of a text: without case, without forms that only look different, without what nobody sees."""
    plain = unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold()
    return tuple(_TOKENS.findall(plain))


def _check(pattern: str, config: RegexConfig, ctx: CompileContext, key: str, number: int) -> None:
    try:
        one = Automaton((pattern,), ignore_case=config.ignore_case)
    except BadPattern as error:
        ctx.error("bad-pattern", f"the pattern cannot be used: {error}", key, number)
        return
    if one.search("") and one.search("a") and one.search("-"):
        ctx.error(
            "finds-everything",
            "the pattern is found in every text",
            key,
            number,
            detail="it may be empty, and what may be empty stands everywhere",
            fix="say what must be there, with + instead of *",
        )


def _check_all(patterns: tuple[str, ...], config: RegexConfig, ctx: CompileContext, key: str) -> None:
    try:
        Automaton(patterns, ignore_case=config.ignore_case)
    except BadPattern as error:
        if not any(_bad(one, config) for one in patterns):
            ctx.error("bad-pattern", f"the patterns cannot be used together: {error}", key)


def _bad(pattern: str, config: RegexConfig) -> bool:
    try:
        Automaton((pattern,), ignore_case=config.ignore_case)
    except BadPattern:
        return True
    return False
