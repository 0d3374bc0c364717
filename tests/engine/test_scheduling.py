"""That the event loop's thread gets its short slice, and that nobody else does or suffers."""

import os
import platform
import subprocess
import sys

import pytest

from archflow_engine.scheduling import SLICE

KNOWN = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64", "riscv64")
PATIENCE = 60

ASK = """
import os, subprocess, sys, threading
from archflow_engine.scheduling import slice_of, wake_promptly

before = slice_of()
told = wake_promptly()
of_thread = []
thread = threading.Thread(target=lambda: of_thread.append(slice_of()))
thread.start()
thread.join()
of_child = subprocess.check_output(
    [sys.executable, "-c", "from archflow_engine.scheduling import slice_of; print(slice_of())"]
)
nice = os.getpriority(os.PRIO_PROCESS, 0)
print(before, told, slice_of(), of_thread[0], int(of_child), nice, os.sched_getscheduler(0))
"""

OF_A_THREAD = """
thread = threading.Thread(target=lambda: print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
thread.start()
thread.join()
"""

FILTER = """
import ctypes, struct, sys
from archflow_engine import scheduling

number = scheduling.CALLS[sys.argv[1]][0]
ends = int(sys.argv[2], 0)  # what the filter does to who calls sched_setattr
program = b"".join(struct.pack("=HBBI", *one) for one in (
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, ends), (0x06, 0, 0, 0x7FFF0000),
))
held = ctypes.create_string_buffer(program)
whole = ctypes.create_string_buffer(struct.pack("@HP", 4, ctypes.addressof(held)))
prctl = ctypes.CDLL(None, use_errno=True).prctl
for call in ((38, 1, 0, 0, 0), (22, 2, whole, 0, 0)):
    if prctl(*(one if one is whole else ctypes.c_ulong(one) for one in call)):
        sys.exit("no filters here")
print(scheduling.wake_promptly())
"""


def told(program: str, *arguments: str, before: tuple[str, ...] = ()) -> list[int]:
    """The numbers that a program in a process of its own says."""
    done = subprocess.run(
        [*before, sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "no filters here" in done.stderr:
        pytest.skip("the kernel takes no filter of system calls")
    assert done.returncode == 0, done.stderr
    return [int(one) for one in done.stdout.split()]


@pytest.fixture(scope="module")
def slices() -> None:
    """A kernel that knows slices."""
    release = tuple(int(one) for one in platform.release().split("-")[0].split(".")[:2])
    if not KNOWN or release < (6, 12):
        pytest.skip("slices are of Linux 6.12 and later")


@pytest.mark.usefixtures("slices")
def test_the_loop_has_a_short_slice_and_what_it_starts_has_not():
    before, asked, now, of_thread, of_child, *_ = told(ASK)
    assert asked == now == SLICE
    assert before > SLICE
    assert of_thread == of_child == before


@pytest.mark.usefixtures("slices")
def test_a_process_that_is_nicer_stays_so():
    _, asked, now, of_thread, _, nice, _ = told(ASK, before=("nice", "-n", "7"))
    assert asked == now == SLICE < of_thread
    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 7)


@pytest.mark.usefixtures("slices")
def test_a_process_that_was_given_priority_hands_it_on_as_before():
    _, asked, *_, nice, _, of_thread = told(ASK + OF_A_THREAD, before=("nice", "-n", "-40"))
    if nice >= 0:
        pytest.skip("only an administrator gives priority")
    assert asked == 0
    assert of_thread == nice == -20


@pytest.mark.usefixtures("slices")
def test_a_process_with_a_policy_of_its_own_is_left_alone():
    batch = "import os\nos.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))\n"
    _, asked, _, _, _, _, policy = told(batch + ASK)
    assert asked == 0
    assert policy == 3


@pytest.mark.skipif(not KNOWN, reason="the numbers of the calls are not known here")
@pytest.mark.parametrize("ends", ["0x80000000", "0x00050001"], ids=["killed", "refused"])
def test_a_filter_that_kills_who_asks_does_not_kill_the_gateway(ends):
    assert told(FILTER, platform.machine(), ends) == [0]


def test_a_machine_whose_calls_are_not_known_is_left_alone():
    unknown = "import os\nos.uname = lambda: type('', (), {'machine': 'unheard-of'})\n"
    assert told(unknown + "from archflow_engine.scheduling import wake_promptly\nprint(wake_promptly())") == [
        0
    ]


@pytest.mark.usefixtures("slices")
def test_run_asks_for_it_before_the_loop_starts():
    asked = """
import types
from archflow_engine import log, run, scheduling

run.trio = types.SimpleNamespace(run=lambda *_: print(scheduling.slice_of()))
log.configure = lambda *_: None
run.run(types.SimpleNamespace(log_format="json", log_level="error", control=None, workers=1))
"""
    assert told(asked) == [SLICE]
