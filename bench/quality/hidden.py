"""Attacks in the middle of innocent documents: what the guard finds of them, by the length of the document.

Proves: how many attacks that are denied when they stand alone are found in documents of the test splits too, and
how many of the same documents are denied without them.
Does not prove: anything about attacks that are written to look like the document around them.
"""

from __future__ import annotations

import re

import sets

ATTACKS = ("s-labs test", "neuralchemy test", "yanis held out", "bastion attacks")
DOCUMENTS = ("networkx documentation", "issues held out", "WritingBench requests", "AgentDojo documents")
SIZES = (400, 1000, 4000, 16_000)
MOST = 100
"""Attacks of the table."""
LONGEST = 200
"""Characters of an attack: a longer one fills windows of its own."""


def attacks(tests: list[sets.Set]) -> list[str]:
    """Short attacks of the test splits, the same number of each set as far as there are so many."""
    kept = []
    for one in tests:
        if one.name in ATTACKS:
            rows = [
                text
                for place, (text, label) in enumerate(zip(one.texts, one.labels, strict=True))
                if label and place not in one.doubtful and 20 <= len(text) <= LONGEST
            ]
            kept += sorted(rows, key=sets.share)[: MOST // len(ATTACKS)]
    return kept


def documents(tests: list[sets.Set], size: int) -> list[str]:
    """For each attack an innocent text of about so many characters, joined of documents where one is too short."""
    pools = [sorted(one.texts, key=sets.share) for one in tests if one.name in DOCUMENTS]
    made = []
    for number in range(MOST):
        pool, at = pools[number % len(pools)], number * 7
        text = ""
        while len(text) < size:
            text += pool[at % len(pool)].strip() + "\n\n"
            at += 1
        made.append(text[: size + 1].rsplit(maxsplit=1)[0])
    return made


def inserted(document: str, attack: str) -> str:
    """The document with the attack behind the sentence that its middle stands in."""
    half = len(document) // 2
    found = re.compile(r"(?<=[.!?])\s|\n").search(document, half)
    at = found.end() if found and found.end() < half * 3 // 2 else document.find(" ", half) + 1
    return f"{document[:at]}{attack} {document[at:]}"
