"""semantic-router over the same routes and the same vectors: run by `choosing.py` with a Python that has it installed.

    python peer_semantic_router.py FILE.json VECTORS.npz

FILE holds the texts whose vectors are in VECTORS, and for each task its routes (name and utterances) and its texts; the
answer on standard output is, for each task, the route of each text, or null. The router's settings are its defaults.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from semantic_router import IndexedRouter, Route
from semantic_router.encoders import DenseEncoder


class Known(DenseEncoder):  # type: ignore[misc]
    """An encoder that looks vectors up."""

    name: str = "known"
    table: dict[str, Any]

    def __call__(self, docs: list[str]) -> list[list[float]]:
        """The vectors of texts."""
        return [self.table[text].tolist() for text in docs]


def main() -> None:
    """Answer every task."""
    asked = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    table = dict(zip(asked["known"], np.load(sys.argv[2])["rows"], strict=True))
    out = []
    for task in asked["tasks"]:
        routes = [Route(name=name, utterances=said) for name, said in task["routes"]]
        router = IndexedRouter(Known(table=table), routes=routes)
        found = [router(text) for text in task["texts"]]
        out.append([one.name if one is not None else None for one in found])
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
