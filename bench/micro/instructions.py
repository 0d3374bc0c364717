"""How many instructions one call of a stage executes, counted by valgrind's callgrind: the same on a busy machine.

A stage runs twice, for LESS and for MORE calls, each in a process of its own; what the two differ by is that of the
calls.

Rule: strings are hashed alike in both processes, and nothing is counted that is not done again for each call.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from stages import STAGES

LESS, MORE = 640, 1920
"""Calls, in whole batches of what is done 64 at a time."""
WARM_UP = 256
_COLLECTED = re.compile(rb"Collected : (\d+)")


def instructions(stage: str) -> int:
    """Of one call of this stage.

    Raises:
        OSError: there is no valgrind, or it failed.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise OSError("valgrind is not installed")
    command = [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    running = [
        subprocess.Popen(
            [*command, str(Path(__file__)), stage, str(calls)],
            env=os.environ | {"PYTHONHASHSEED": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for calls in (LESS, MORE)
    ]
    counts = [_COLLECTED.search(process.communicate()[1]) for process in running]
    if None in counts:
        raise OSError(f"valgrind counted nothing for '{stage}'")
    less, more = (int(found[1]) for found in counts if found is not None)
    return (more - less) // (MORE - LESS)


def repeat(stage: str, calls: int) -> None:
    """Be the process whose instructions are counted; it ends without tidying up, which is none of the stage's."""
    (chosen,) = (one for one in STAGES if one.name == stage)
    with chosen.prepare() as work:
        for _ in range(WARM_UP + calls):
            work()
        os._exit(0)


if __name__ == "__main__":
    repeat(sys.argv[1], int(sys.argv[2]))
