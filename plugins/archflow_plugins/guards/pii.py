"""The guard of personal data: denies turns in which there is any, told from mere digits by checksums and rules.

Rule: what was found is told by its name, and never quoted, not in the reply, nor in a log.
Rule: a long turn is read in a thread, not on the event loop.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from archflow_plugins.contexts import CompileContext
from archflow_plugins.guards.identifiers import USUAL, find
from archflow_plugins.guards.turns import USER, Whose, words
from archflow_plugins.kinds import Guard
from archflow_plugins.verdict import ALLOW, Verdict
from archflow_schema.conversation import Conversation

AT_ONCE = 4096
"""Characters that are read on the event loop; more of them are read in a thread."""
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


class PiiConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Configuration of the guard of personal data.

    Attributes:
        find: what is looked for: `card`, `email`, `phone`, `iban`, `ip`, `us_ssn`, `uk_nino`, `es_dni`, `fr_nir`,
            `it_codice_fiscale`, `de_tax_id`, `nl_bsn`; by default all but the last two, which are bare digits.
        roles: whose turns are judged: `user`, `assistant`, `system`, `tool`.
        message: what the client is told; by default, what was found.
    """

    find: tuple[Name, ...] = USUAL  # type: ignore[assignment]
    roles: tuple[Whose, ...] = USER
    message: str = ""


class PiiGuard(Guard):
    """Denies turns that hold personal data."""

    kind = "guard.pii"
    config = PiiConfig
    waits = True

    @classmethod
    def compile(cls, config: PiiConfig, ctx: CompileContext) -> Struct:
        if not config.find:
            ctx.error("nothing-to-find", "the pii guard has nothing to look for", "find", fix="leave it out")
        return config

    async def check(self, conversation: Conversation) -> Verdict:
        names = self.settings.find
        for text in words(conversation, self.settings.roles):
            if len(text) <= AT_ONCE:
                found = _names(text, names)
            else:
                found = await self.ctx.offload(lambda text=text: _names(text, names))  # type: ignore[misc]
            if found:
                listed = ", ".join(CALLED[name] for name in found)
                message = self.settings.message or f"This request was denied: it holds {listed}."
                return Verdict(allow=False, message=message, score=1.0)
        return ALLOW


def _names(text: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names of what a text holds, each once."""
    return tuple(dict.fromkeys(found.name for found in find(text, names)))
