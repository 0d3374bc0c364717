"""Takes the parameters of the matched targets from the conversation, or asks the user for what is missing.

Rule: a slot filler that fails, or takes too long, has understood nothing: the user is asked to say it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from archflow_engine.nodes.match import named
from archflow_engine.prompts import state
from archflow_engine.prompts.prompt import Prompt, of
from archflow_engine.walk import Runner
from archflow_plugins.kinds import SlotFiller
from archflow_schema.conversation import Conversation
from archflow_schema.errors import ClientProtocolError
from archflow_schema.slots import Filled, Question

if TYPE_CHECKING:
    from archflow_engine.exchange import Exchange

AGAIN = "I could not work out what you need. Please say it again, with all the details."


class FillNode(Runner):
    """Asks a slot filler kind."""

    waits = True

    def __init__(self, name: str, filler: SlotFiller, targets: tuple[str, ...], timeout: float) -> None:
        super().__init__(name)
        self._filler = filler
        self._targets = frozenset(targets)
        self._timeout = timeout

    async def run_waiting(self, exchange: Exchange) -> Runner | None:
        prompt = of(exchange)
        found = await self.fill(exchange, exchange.conversation, prompt.targets)
        if found is None:
            exchange.error = AGAIN
            return self.edges["failed"]
        if isinstance(found, Question):
            exchange.error = found.text
            _first(exchange, prompt, (found.target,))
            if prompt.tells:
                prompt.metadata = state.asked(found.target, found.text)
            return self.edges["ask"]
        if not found.calls:
            return self.edges["none"]
        _first(exchange, prompt, tuple(call.target for call in found.calls))
        prompt.filled = found
        prompt.filler = self
        return self.edges["filled"]

    async def fill(
        self, exchange: Exchange, conversation: Conversation, targets: tuple[str, ...]
    ) -> Filled | Question | None:
        """What the kind answers; None if it fails, is late, or names a target that has no slots to fill. Blocks."""
        known = tuple(target for target in targets if target in self._targets)
        try:
            with trio.move_on_after(self._timeout):
                return _checked(await self._filler.fill(conversation, known), self._targets)
        except (ClientProtocolError, trio.Cancelled):
            raise
        except Exception as error:  # noqa: BLE001 - a slot filler that fails has filled nothing
            exchange.plan.hub.trouble(error)
        return None


def _first(exchange: Exchange, prompt: Prompt, found: tuple[str, ...]) -> None:
    """Put the target that was found first, if it is another than the matcher's best, and name it in the reply."""
    if found[0] and prompt.targets[:1] and prompt.targets[0] not in found:
        prompt.targets = tuple(dict.fromkeys((*found, *prompt.targets)))
        named(exchange, found[0])


def _checked(found: Filled | Question, known: frozenset[str]) -> Filled | Question:
    """What was filled. Raises ValueError if it is a target that cannot be called."""
    strange = (
        [call.target for call in found.calls if call.target not in known] if isinstance(found, Filled) else []
    )
    if strange:
        raise ValueError(f"'{strange[0]}' was filled, which is no prompt target that can be called")
    return found
