"""A second stage for choosing a function: a linear ranker over cosines, shared words, and what parameters ask for.

A candidate's features are cosines of the query (whole, and its best sentence) with the candidate's name, description
and parameters, weighted shared words, enumerated values and numbers that the query names, and whether the verbs agree.
Each also counts relative to the best candidate's. The ranker is a softmax over the candidates, with a ridge.

Cost at run time: candidates are embedded beforehand; a request embeds the query and its sentences, then multiplies
vectors of 44 numbers.

Rule: knows no data set: what it is trained on comes from `functions.py`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.optimize import minimize

VERBS = {
    "find": "find search look browse show list get retrieve fetch check see display view give tell what which lookup "
    "recommend explore",
    "buy": "book reserve buy purchase order rent hire schedule make",
    "play": "play start listen watch stream",
    "create": "create add new insert make generate build register open",
    "change": "update change set modify edit adjust rename turn",
    "remove": "delete remove cancel drop stop clear",
    "send": "send share transfer pay message email request ask",
    "compute": "calculate compute count sum convert estimate predict",
}
CLASSES = {name: frozenset(words.split()) for name, words in VERBS.items()}
COMMON = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "for",
        "in",
        "on",
        "at",
        "by",
        "with",
        "and",
        "or",
        "is",
        "are",
        "be",
        "this",
        "that",
        "it",
        "from",
        "as",
        "can",
        "you",
        "i",
        "me",
        "my",
        "please",
    ]
)


class Item(msgspec.Struct, frozen=True):
    """A query, its candidates as JSON-schema functions, and which of them is right."""

    key: str
    query: str
    functions: list[dict[str, Any]]
    right: int


def spoken(name: str) -> str:
    """A function's name as words: `Movies_1_FindMovies` -> `movies 1 find movies`."""
    return re.sub(r"[._\-]+", " ", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)).lower()


def _properties(function: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = function["parameters"].get("properties", {})
    return found


def described(function: dict[str, Any]) -> str:
    """What the encoder alone compares with the query: the name as words, and the description."""
    return f"{spoken(function['name'])}: {function.get('description', '')}"


def forms(function: dict[str, Any]) -> list[str]:
    """The texts of a candidate that are embedded, the parameters' own apart."""
    name, text = spoken(function["name"]), function.get("description", "")
    first = re.split(r"(?<=[.])\s", text)[0]
    parameters = "; ".join(
        f"{spoken(key)} {one.get('description', '')}" for key, one in _properties(function).items()
    )
    return [
        f"{name}: {text}",
        name,
        text or name,
        f"{name}: {first}",
        f"{name}: {text} " + ", ".join(spoken(key) for key in _properties(function)),
        parameters[:900] or name,
    ]


def parameters(function: dict[str, Any]) -> list[str]:
    """The text of each parameter."""
    return [
        f"{spoken(key)}: {one.get('description', '')}"[:300] for key, one in _properties(function).items()
    ]


def sentences(text: str) -> list[str]:
    """The sentences of a query."""
    return [one for one in re.split(r"(?<=[.?!\n])\s+", text) if one] or [" "]


def _stems(text: str) -> set[str]:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {w[:-1] if len(w) > 3 and w.endswith("s") and not w.endswith("ss") else w for w in words} - COMMON


def _verbs(text: str) -> set[str]:
    words = set(re.findall(r"[a-z]+", text.lower()))
    return {name for name, members in CLASSES.items() if words & members}


def features(items: Sequence[Item], vectors: Callable[[Sequence[str]], np.ndarray]) -> list[np.ndarray]:
    """The features of every candidate of every item."""
    functions = [function for item in items for function in item.functions]
    texts = {text for item in items for text in (item.query, *sentences(item.query))}
    texts |= {text for function in functions for text in (*forms(function), *parameters(function))}
    ordered = sorted(texts)
    known = dict(zip(ordered, vectors(ordered), strict=True))
    often = Counter(stem for function in functions for stem in _stems(forms(function)[4]))

    def rare(shared: set[str]) -> float:
        return sum(1 / math.log(3 + often.get(stem, 1)) for stem in shared)

    out = []
    for item in items:
        query, asked, verbs = known[item.query], _stems(item.query), _verbs(item.query)
        parts = np.stack([known[one] for one in sentences(item.query)])
        rows = []
        for function in item.functions:
            texts_of = forms(function)
            row = [float(query @ known[text]) for text in texts_of]
            row += [float((parts @ known[text]).max()) for text in texts_of[:2]]
            each = [float(query @ known[text]) for text in parameters(function)]
            row += [max(each, default=0.0), sum(each) / max(1, len(each))]
            name, whole, values = (_stems(texts_of[at]) for at in (1, 0, 5))
            row += [
                rare(asked & name) / (1 + len(name)),
                rare(asked & whole) / math.sqrt(3 + len(whole)),
                rare(asked & values) / math.sqrt(3 + len(values)),
                *_asked_for(function, item.query),
            ]
            own = _verbs(texts_of[1])
            row += [len(verbs & own) / (1 + len(own)), float(bool(own) and not verbs & own)]
            rows.append(row)
        array = np.array(rows)
        out.append(np.concatenate([array, array - array.max(0)], 1))
    return out


def _asked_for(function: dict[str, Any], query: str) -> list[float]:
    """What a candidate's parameters ask for, and how much of it the query names."""
    properties, required = _properties(function), function["parameters"].get("required", [])
    lower, hits, lists = query.lower(), 0, 0
    for one in properties.values():
        values = one.get("enum") or (one.get("items") or {}).get("enum")
        if values:
            lists += 1
            named = (re.search(rf"\b{re.escape(str(v).lower())}\b", lower) for v in values if len(str(v)) > 1)
            hits += any(named)
    numbers = any(properties.get(key, {}).get("type") in {"integer", "float"} for key in required)
    digits = any(letter.isdigit() for letter in query)
    return [
        float(hits),
        hits / max(1, lists),
        float(numbers and not digits),
        float(numbers and digits),
        len(required) / 5,
        len(properties) / 5,
        float(not required),
    ]


class Ranker:
    """A linear ranker, trained.

    Args:
        rows: the features of each item's candidates.
        right: which candidate is right.
        ridge: how much large weights cost.
    """

    def __init__(self, rows: Sequence[np.ndarray], right: Sequence[int], ridge: float) -> None:
        stacked = np.concatenate(list(rows))
        self._mean, self._scale = stacked.mean(0), stacked.std(0) + 1e-6
        most, width = max(map(len, rows)), stacked.shape[1]
        padded, missing = np.zeros((len(rows), most, width)), np.full((len(rows), most), -1e9)
        for at, one in enumerate(rows):
            padded[at, : len(one)] = (one - self._mean) / self._scale
            missing[at, : len(one)] = 0
        every, answers = np.arange(len(rows)), np.array(right)

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            scores = padded @ weights + missing
            chances = np.exp(scores - scores.max(1, keepdims=True))
            chances /= chances.sum(1, keepdims=True)
            value = -np.log(chances[every, answers] + 1e-12).mean() + ridge * float(weights @ weights)
            chances[every, answers] -= 1
            return value, np.einsum("nm,nmk->k", chances, padded) / len(rows) + 2 * ridge * weights

        self._weights = minimize(loss, np.zeros(width), jac=True, method="L-BFGS-B").x

    def choose(self, rows: np.ndarray) -> int:
        """The best candidate."""
        return int((((rows - self._mean) / self._scale) @ self._weights).argmax())
