"""What differs between the vendors whose models Bedrock serves: data only.

Converse is one form for all of them but for what it passes through in `additionalModelRequestFields`, and for the few
fields that some models refuse. A model's family is read from its id: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`.
An id that does not tell (provisioned throughput, an application's profile) is taken for a current Claude.

Claude from 4.1 to 4.6 refuses `temperature` beside `top_p`, and later ones refuse every sampling parameter.

Source: Amazon Bedrock User Guide ("Inference parameters", "Adaptive thinking", "Extended thinking", "Prompt caching",
"Amazon Nova: extended thinking"), 2026-11.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

Thinking = Literal["adaptive", "budget", "nova", "effort", ""]
CachePoints = Literal["everywhere", "without tools", "nowhere"]


class Family(Struct, frozen=True, kw_only=True):
    """One kind of models.

    Attributes:
        models: which ids, from the vendor on.
        thinking: how it is told to think. `adaptive`: `thinking` and `outputConfig.effort`, Claude 4.6 and later;
            `budget`: `thinking` with a budget, Claude before; `nova`: `reasoningConfig`; `effort`: `reasoning_effort`;
            empty: not at all.
        budgets: it takes a budget of thought in tokens; a current Claude only takes an effort.
        top_k: the path of its top-k parameter; empty if it has none.
        cache_points: where a cache point is understood; elsewhere it would be refused.
        signed: it takes back only thoughts that carry a signature.
        stop_told: where it tells which stop text ended an answer, if asked; empty if it does not.
        tool_modes: `tool_choice` as Anthropic writes it can be passed through.
        sampling: it takes `temperature`, `topP` and its top-k parameter.
        both: it takes `temperature` and `topP` in one request.
    """

    models: str
    thinking: Thinking = ""
    budgets: bool = False
    top_k: tuple[str, ...] = ()
    cache_points: CachePoints = "nowhere"
    signed: bool = False
    stop_told: tuple[str, ...] = ()
    tool_modes: bool = False
    sampling: bool = True
    both: bool = True


_STOP = ("/stop_sequence", "/delta/stop_sequence")


def _claude(
    models: str,
    thinking: Thinking = "",
    *,
    budgets: bool = False,
    modes: bool = False,
    sampling: bool = True,
    both: bool = True,
) -> Family:
    return Family(
        models=rf"anthropic\.{models}",
        thinking=thinking,
        budgets=budgets,
        top_k=("top_k",),
        cache_points="everywhere",
        signed=True,
        stop_told=_STOP,
        tool_modes=modes,
        sampling=sampling,
        both=both,
    )


FAMILIES: tuple[Family, ...] = (
    _claude(r"claude-(?:v2|instant|3-[05h-s])"),
    _claude(r"claude-(?:3-7|(?:sonnet|opus)-4-2025)", "budget", budgets=True),
    _claude(r"claude-opus-4-1", "budget", budgets=True, both=False),
    _claude(r"claude-[a-z]+-4-5", "budget", budgets=True, modes=True, both=False),
    _claude(r"claude-[a-z]+-4-6", "adaptive", budgets=True, modes=True, both=False),
    _claude("", "adaptive", modes=True, sampling=False),
    Family(
        models=r"amazon\.nova-2",
        thinking="nova",
        top_k=("inferenceConfig", "topK"),
        cache_points="without tools",
    ),
    Family(models=r"amazon\.nova", top_k=("inferenceConfig", "topK"), cache_points="without tools"),
    Family(models=r"openai\.", thinking="effort"),
    Family(models=r"[a-z0-9]+\."),
)
UNTOLD = Family(
    models=".*",
    thinking="adaptive",
    budgets=True,
    top_k=("top_k",),
    cache_points="everywhere",
    stop_told=_STOP,
    tool_modes=True,
)
_PATTERNS = tuple((re.compile(family.models), family) for family in FAMILIES)
_PLACE = re.compile(r"(?:us-gov|global|us|eu|apac|jp|au|ca|sa|me|af|il|mx|uk)\.")
"""Where a cross-region inference profile sends requests; it stands before the vendor."""


def family_of(model: str) -> Family:
    """The family of a model id, an inference profile's id, or the ARN of either."""
    name = model.rpartition("/")[2]
    place = _PLACE.match(name)
    if place is not None:
        name = name[place.end() :]
    return next((family for pattern, family in _PATTERNS if pattern.match(name)), UNTOLD)
