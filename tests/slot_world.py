"""What the tests of slot filling share: the moment that all is said in, a conversation filled, calls as values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from archflow_plugins.slots import dialogue, fill, targets
from archflow_schema.conversation import Conversation
from archflow_schema.slots import Filled, Intent, Question

NOW = datetime.fromisoformat("2024-02-21T10:00")
"""A Wednesday."""


def filled(said: Conversation, names: Sequence[str], intents: Sequence[Intent]) -> Filled | Question:
    """What a conversation comes to without a model.

    Args:
        said: the conversation.
        names: of the targets that were matched.
        intents: what the targets want.
    """
    told = dialogue.read(said, NOW)
    chosen = targets.chosen(told, names, {one.name: fill.target(one) for one in intents})
    return targets.outcome(targets.drafts(chosen, told), told)


def values(outcome: Filled | Question) -> list[dict[str, Any]]:
    """The values of each call."""
    assert isinstance(outcome, Filled), outcome
    return [{name: msgspec.json.decode(raw) for name, raw in one.values} for one in outcome.calls]
