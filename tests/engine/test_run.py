"""What `run` does for the process itself."""

import platform
import subprocess
import sys

import pytest

WORK = """
import resource, sys
from archflow_engine.run import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    held = [bytearray(100_000) for _ in range(40)]
    del held
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> int:
    """How often the kernel was asked for a page while large blocks came and went."""
    done = subprocess.run(
        [sys.executable, "-c", WORK, how], capture_output=True, text=True, check=True, timeout=60
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is taught anything")
def test_freed_memory_is_kept_for_the_next_request() -> None:
    assert faults("keep") * 10 < faults("leave")
