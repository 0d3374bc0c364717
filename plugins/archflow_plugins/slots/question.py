"""The one question for all that is missing, in the words of the descriptions.

    Could you tell me the currency to convert to?
    Could you tell me the city, the start date (as YYYY-MM-DD) and whether to include details?

Rule: nothing is asked twice, and nothing that has a default.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from archflow_plugins.slots import values
from archflow_plugins.slots.words import pieces
from archflow_schema.slots import Slot

OPTIONS_AT_MOST = 8
LONGEST = 90
_LEAD = re.compile(
    r"^(?:optional[:.,]?\s*|required[:.,]?\s*|please\s+)*(?:(?:specif(?:y|ies)|enter|provide|give|indicates?|represents?|denotes?|"
    r"describes?|determines?|sets?|defines?|tells?)\s+)?",
    re.IGNORECASE,
)
_FLAG = re.compile(
    r"^(?:a |the )?(?:boolean |bool |true/false )?(?:flag|indicator|value|switch|parameter|boolean|option)s?\s*"
    r"(?:that |which |to )?(?:indicat\w+|specif\w+|determin\w+|say\w*|show\w*)?\s+(?=whether|if)",
    re.IGNORECASE,
)
_IF_TRUE = re.compile(r"^(?:if|when|set to|whether)\s+(?:it is |set to )?(?:true|yes),?\s+", re.IGNORECASE)
_CONFIRM = re.compile(
    r"^(?:an? |the |your )?(?:user'?s? )?(?:confirmation|confirm|consent|approval)(?: flag)?\s+(?:of |for )?",
    re.IGNORECASE,
)
_CUT = re.compile(
    r"\s*(?:\(|;|\.(?:\s|$)|,?\s+(?:e\.g\.|i\.e\.|for example|for instance|such as|in (?:the )?format"
    r"|in the form|formatted|default(?:s|ing)?\b|where \d|options?\b|choices are|can be\b|must be\b|should be\b"
    r"|if not\b|optional\b|like '))",
    re.IGNORECASE,
)
_DETERMINED = re.compile(
    r"^(?:a|an|the|your|which|what|whether|how|who|whose|where|when|if|any|all|one|each|some|my|their|number of)\b",
    re.IGNORECASE,
)


def ask(missing: Sequence[Slot]) -> str:
    """One question for several slots."""
    told = list(dict.fromkeys(phrase(one) + _remark(one) for one in missing))
    listed = "".join(told) if len(told) < 2 else f"{', '.join(told[:-1])} and {told[-1]}"
    return f"Could you tell me {listed}?"


def phrase(slot: Slot) -> str:
    """What a slot is, as it stands in a question: `the city`."""
    text = " ".join(slot.description.split())
    text = _FLAG.sub("", _LEAD.sub("", text))
    if slot.type == "bool":
        bare = _IF_TRUE.sub("", text)
        if bare != text:
            first = bare.split(" ", 1)[0]
            verb = first.islower() or first[1:].islower()
            text = f"whether {'it' if not verb or first.endswith('s') else 'to'} {bare}"
        elif _CONFIRM.match(text):
            text = f"whether you confirm {_CONFIRM.sub('', text)}"
    cut = _CUT.search(text)
    if cut and cut.start():
        text = text[: cut.start()]
    text = text.strip(" .,:;'\"?!")
    if not text or len(text) > LONGEST or len(text.split()) < 1:
        text = " ".join(pieces(slot.name)) or slot.name
    first = text.split()[0].rstrip("'s.,")
    if text[:1].isupper() and (first == "A" or not first.isupper()):
        text = text[0].lower() + text[1:]
    if text.startswith("if "):
        text = "whether " + text[3:]
    if slot.type == "bool" and not text.startswith("whether"):
        return f"whether you want {text}" if _DETERMINED.match(text) else f"whether you want the {text}"
    if text.startswith("number of"):
        return f"the {text}"
    return text if _DETERMINED.match(text) else f"the {text}"


def _remark(slot: Slot) -> str:
    """How the value is to be told, where that is not plain."""
    every = values.options(slot)
    if every and slot.type != "bool":
        told = [str(one) for one in every[:OPTIONS_AT_MOST]]
        more = ", ..." if len(every) > OPTIONS_AT_MOST else ""
        return f" ({', '.join(told)}{more})"
    if slot.format and slot.format.casefold() not in {
        "email",
        "uri",
        "url",
        "string",
        "date",
        "time",
        "int32",
        "int64",
        "float",
        "double",
    }:
        return f" (as {slot.format})"
    return ""
