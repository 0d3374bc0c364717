"""The guard of personal data, told from mere digits by checksums and rules: denies where there is any, or masks it.

Rule: what was found is told by its name, and never quoted, not in the reply, nor in a log.
Rule: a long turn is read in a thread, not on the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from msgspec import Struct

from archflow_plugins.contexts import CompileContext, RunContext
from archflow_plugins.guards.identifiers import USUAL
from archflow_plugins.guards.long import Reading, read
from archflow_plugins.guards.masks import Masking, Masks, Restoring, mask, placeholders
from archflow_plugins.guards.pattern import BadPattern, parse
from archflow_plugins.guards.places import Places
from archflow_plugins.guards.sighting import Sighting
from archflow_plugins.guards.sought import Sought
from archflow_plugins.guards.turns import USER, Whose, words
from archflow_plugins.guards.whole import Whole, readable
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Passed, Screens, Side, Verdict
from archflow_schema.conversation import Conversation

AT_ONCE = 4096
"""Characters that are read on the event loop; more of them are read in a thread."""
NAMED = re.compile(r"[a-z](?:_?[a-z]){0,19}")
"""How a pattern may be called: what its placeholders are made of."""
EVERYBODY: tuple[Whose, ...] = ("system", "user", "assistant", "tool")
CALLED: dict[str, str] = {
    "card": "a card number",
    "email": "an email address",
    "phone": "a phone number",
    "iban": "a bank account (IBAN)",
    "ip": "an IP address",
    "us_ssn": "a social security number",
    "uk_nino": "a national insurance number",
    "es_dni": "a DNI or NIE",
    "fr_nir": "a NIR",
    "it_codice_fiscale": "a codice fiscale",
    "de_tax_id": "a tax identification number",
    "nl_bsn": "a BSN",
}
"""What clients are told that was found."""
Name = Literal[
    "card", "email", "phone", "iban", "ip", "us_ssn", "uk_nino", "es_dni", "fr_nir", "it_codice_fiscale", "de_tax_id",
    "nl_bsn",
]  # fmt: skip


class Own(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is looked for beside what is known.

    Attributes:
        name: small letters and underscores; `employee_id` is masked as `<EMPLOYEE_ID_1>`.
        pattern: how it looks, as in `guard.regex`; it must say how long it may be, at most 256 characters.
        ignore_case: whether it is found in either case.
        called: what clients are told that was found, such as "an employee number"; the name if it is not given.
    """

    name: str
    pattern: str
    ignore_case: bool = True
    called: str = ""


class PiiConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard of personal data.

    Attributes:
        find: what is looked for: `card`, `email`, `phone`, `iban`, `ip`, `us_ssn`, `uk_nino`, `es_dni`, `fr_nir`,
            `it_codice_fiscale`, `de_tax_id`, `nl_bsn`; by default all but the last two, which are bare digits.
        patterns: what else is looked for.
        action: `deny`, or `mask`, which puts a placeholder such as `<EMAIL_1>` in the place of each value.
        restore: for `mask` on requests: the answer gets the values back where it says their placeholders.
        roles: whose turns are read: `user`, `assistant`, `system`, `tool`; by default what users say is denied, and
            what anybody says is masked.
        message: what the client is told; by default, what was found.
    """

    find: tuple[Name, ...] = USUAL  # type: ignore[assignment]
    patterns: tuple[Own, ...] = ()
    action: Literal["deny", "mask"] = "deny"
    restore: bool = False
    roles: tuple[Whose, ...] = ()
    message: str = ""


class PiiGuard(Guard):
    """Denies or masks turns, and answers, that hold personal data."""

    kind = "guard.pii"
    config = PiiConfig
    waits = True
    sides: ClassVar[tuple[Side, ...]] = ("input", "output")

    @classmethod
    def compile(cls, config: PiiConfig, ctx: CompileContext) -> Struct:
        if not config.find and not config.patterns:
            ctx.error("nothing-to-find", "the pii guard has nothing to look for", "find", fix="leave it out")
        for number, one in enumerate(config.patterns):
            _check(one, [other.name for other in config.patterns[:number]], ctx, number)
        if config.restore and (config.action != "mask" or ctx.side == "output"):
            ctx.error(
                "nothing-to-restore",
                "only what was masked in a request can be put back into its answer",
                "restore",
                fix="write `action: mask` under `guards`, or leave it out",
            )
        if config.roles and ctx.side == "output":
            ctx.error(
                "no-roles", "an answer is the model's, whatever `roles` says", "roles", fix="leave it out"
            )
        return config

    def __init__(self, compiled: Any, ctx: RunContext) -> None:
        super().__init__(compiled, ctx)
        patterns = {one.name: parse(one.pattern, ignore_case=one.ignore_case) for one in compiled.patterns}
        self.sought = Sought(compiled.find, patterns)
        self._called = CALLED | {
            one.name: one.called or one.name.replace("_", " ") for one in compiled.patterns
        }

    async def check(self, conversation: Conversation) -> Verdict:
        if self.settings.action == "mask":
            return await self._masked(conversation)
        for text in words(conversation, self.settings.roles or USER):
            found = await self._names(text)
            if found:
                return self.denied("request", found)
        return ALLOW

    async def _masked(self, conversation: Conversation) -> Verdict:
        settings = self.settings
        roles = settings.roles or EVERYBODY

        def work() -> tuple[Conversation, Masks]:
            return mask(conversation, self.sought, roles, apart=settings.restore)

        long = sum(map(len, words(conversation, EVERYBODY))) > AT_ONCE
        other, masks = await read(self.ctx, work, long=long)
        return Verdict(
            allow=True,
            becomes=other if masks.values else None,
            texts=lambda text: masks.masked(text, self.sought),
            screens=(lambda _: Restoring(masks.values)) if settings.restore else None,
        )

    def screens(self, asked: Callable[[], Conversation]) -> Screens:
        if self.settings.action == "mask":
            masks = Masks(lambda: placeholders(asked()))  # one of the request may be put back into the answer
            return lambda _: Masking(self.ctx, AT_ONCE, self.sought, masks)
        return lambda channel: Whole(self._judge) if channel == "arguments" else _Denying(self)

    async def _judge(self, arguments: str) -> Verdict:
        found = await self._names(readable(arguments))
        return self.denied("answer", found) if found else ALLOW

    async def _names(self, text: str) -> tuple[str, ...]:
        """The names of what a text holds, each once."""

        def work() -> tuple[str, ...]:
            return tuple(dict.fromkeys(found.name for found in self.sought.find(text)))

        return await read(self.ctx, work, long=len(text) > AT_ONCE)

    def denied(self, what: Literal["request", "answer"], found: tuple[str, ...]) -> Verdict:
        """The verdict on a request or an answer in which things of these names were found."""
        listed = ", ".join(self._called[name] for name in found)
        said = "denied" if what == "request" else "withheld"
        message = self.settings.message or f"This {what} was {said}: it holds {listed}."
        return Verdict(allow=False, message=message, score=1.0)


class _Denying(Reading):
    """Lets go what is part of nothing that is looked for."""

    def __init__(self, guard: PiiGuard) -> None:
        super().__init__(guard.ctx, AT_ONCE)
        self._guard = guard
        self._sighting = Sighting(guard.sought)
        self._left = 0

    def judge(self, text: str, *, end: bool) -> Verdict | Sequence[Passed]:
        found = self._sighting.feed(text, end=end)
        if found:
            return self._guard.denied("answer", tuple(dict.fromkeys(one.name for one in found)))
        length, self._left = self._sighting.safe - self._left, self._sighting.safe
        return (Passed(length),) if length else ()


def _check(one: Own, before: Sequence[str], ctx: CompileContext, number: int) -> None:
    """Report what is wrong with a pattern."""
    if not NAMED.fullmatch(one.name):
        ctx.error(
            "bad-name",
            f"'{one.name}' cannot name what is looked for",
            "patterns",
            number,
            "name",
            fix="write 1 to 20 small letters, with underscores between them, such as employee_id",
        )
    elif one.name in CALLED or one.name in before:
        ctx.error(
            "duplicate-name",
            f"'{one.name}' is looked for already",
            "patterns",
            number,
            "name",
            fix="give it another name",
        )
    try:
        Places({one.name: parse(one.pattern, ignore_case=one.ignore_case)})
    except BadPattern as error:
        ctx.error("bad-pattern", f"the pattern cannot be used: {error}", "patterns", number, "pattern")
