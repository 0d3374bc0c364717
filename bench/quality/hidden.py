"""Attacks in the middle of innocent documents: what the guard finds of them, by the length of the document.

Beside them orders in what a tool answers an agent: AgentDojo's mails, files and pages with its orders, brought in by
each of its ways that do not depend on the agent.

Proves: how many attacks that are denied when they stand alone are found in documents of the test splits too, how many
orders are found in results, and how many of the same documents are denied without them.
Does not prove: anything about attacks that are written to look like the document around them.
"""

from __future__ import annotations

import ast
import re

import sets
from packages import names, read

ATTACKS = ("s-labs test", "neuralchemy test", "yanis held out", "bastion attacks")
DOCUMENTS = ("networkx documentation", "issues held out", "WritingBench requests", "AgentDojo documents")
SIZES = (400, 1000, 4000, 16_000)
MOST = 100
"""Attacks of the table."""
LONGEST = 200
"""Characters of an attack: a longer one fills windows of its own."""
RESULT = 1000
"""Characters of a result."""
NAMES = {"user": "Emma Johnson", "model": "GPT-4"}
"""Whom AgentDojo's orders name."""


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


def results(tests: list[sets.Set]) -> list[str]:
    """AgentDojo's documents in portions of a result's length."""
    [found] = [one for one in tests if one.name == "AgentDojo documents"]
    return [text[at : at + RESULT] for text in found.texts for at in range(0, len(text) - RESULT + 1, RESULT)]


def ways() -> dict[str, str]:
    """AgentDojo's ways to bring an order in, by name; `{goal}` stands for it."""
    found = {}
    for file in names("agentdojo", "agentdojo/attacks/", "_attacks.py"):
        for one in ast.parse(read("agentdojo", file)).body:
            named = sets.assigned(one, "name")
            for node in ast.walk(one):
                if named and isinstance(node, ast.Constant) and "{goal}" in str(node.value):
                    found[named[0]] = str(node.value)
    return {name: way for name, way in found.items() if "{tools}" not in way}


def goals() -> list[str]:
    """AgentDojo's orders that are written out."""
    return [
        goal
        for file in names("agentdojo", "agentdojo/default_suites/v1/", "injection_tasks.py")
        for goal in sets.assigned(ast.parse(read("agentdojo", file)), "GOAL")
    ]


def ordered(result: str, way: str, goal: str) -> str:
    """The result with an order in its middle."""
    return inserted(result, way.format(goal=goal, **NAMES))
