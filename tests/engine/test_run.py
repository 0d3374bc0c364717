"""What `run` does for the process itself, and with signals."""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from archflow_engine import run
from archflow_engine.run import Options
from peers import PATIENCE

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


OPTIONS = Options(
    graph=Path("graph.bin"), admin=None, admin_asked=False, workers=1, drain=1.0, watch=False, plugins="locked",
    log_format="json", log_level="info", control=None, home=None,
)  # fmt: skip


@pytest.mark.trio
async def test_graphs_are_loaded_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_settle_memory", lambda: None)
    started = trio.Event()
    loading, asked = trio.open_memory_channel[None](0)
    loads: list[str] = []

    async def start(status: Any) -> None:
        status.started()
        started.set()
        await trio.sleep_forever()

    async def reload() -> None:
        loads.append("begun")
        await loading.send(None)
        loads.append("done")

    async def stop() -> None:
        await trio.lowlevel.checkpoint()

    async def serve() -> None:
        admin: Any = None  # its address is off
        await run._serve(
            OPTIONS,
            b"",
            lambda *_, **__: None,
            admin,
            start=start,
            reload=reload,
            stop=stop,
            give_up=lambda: None,
        )

    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            await started.wait()
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(4):
                os.kill(os.getpid(), signal.SIGHUP)
                await trio.testing.wait_all_tasks_blocked()
            assert loads == ["begun"]
            for _ in range(2):  # the first, and one for all that came after it began
                await asked.receive()
                await trio.testing.wait_all_tasks_blocked()
            assert loads == ["begun", "done", "begun", "done"]
            os.kill(os.getpid(), signal.SIGTERM)
