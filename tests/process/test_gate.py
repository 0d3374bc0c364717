"""The counting gate of bench/gate.py: the hot path makes no task, no nursery and no needless system call."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from types import ModuleType

import pytest

from process.harness import ROOT

pytestmark = pytest.mark.process


def load_gate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gate", ROOT / "bench" / "gate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


gate = load_gate()


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed; .ci/run installs it")
def test_a_request_and_a_chunk_cost_no_more_than_they_may() -> None:
    result = gate.count()
    assert not result.excesses(), f"\n{result}"


def test_a_count_above_its_limit_is_an_excess() -> None:
    counts = {per: dict(limits) for per, limits in gate.LIMITS.items()}
    assert not gate.Result(counts).excesses()
    counts["request"]["nurseries"] = 1.0
    assert [excess.what for excess in gate.Result(counts).excesses()] == ["nurseries"]


TRACE = """\
7 recvfrom(9, "GET /mark-request-begin HTTP/1.1"..., 65536, 0, NULL, NULL) = 45
7 sendto(9, "HTTP/1.1 404 Not Found"..., 200, 0, NULL, 0) = 200
7 epoll_wait(4,  <unfinished ...>
8 write(3, "{\\"event\\":\\"exchange\\"}"..., 300) = 300
7 <... epoll_wait resumed>[{events=EPOLLIN}], 512, 0) = 1
7 recvfrom(9, "POST /v1/chat/completions HTTP/1.1"..., 65536, 0, NULL, NULL) = 145
7 sendto(11, "POST /v1/chat/completions HTTP/1.1"..., 160, 0, NULL, 0) = 160
7 recvfrom(11, "HTTP/1.1 200 OK"..., 65536, 0, NULL, NULL) = 190
7 sendto(9, "HTTP/1.1 200 OK"..., 200, 0, NULL, 0) = 200
7 recvfrom(9, "GET /mark-request-end HTTP/1.1"..., 65536, 0, NULL, NULL) = 45
""".splitlines()


def test_the_trace_is_read_between_its_marks() -> None:
    counted = gate.count_calls(gate.between(TRACE, "request"), 1)
    assert counted["system calls"] == 6
    assert counted["sends to the client"] == 1
    assert counted["sends to the upstream"] == 1
    assert counted["receives from the upstream"] == 1
    assert counted["epoll_ctl"] == 0


@pytest.mark.parametrize(("about", "counted"), [(9, 1), (11, 1), (5, 0)])
def test_registering_a_connection_counts_and_arming_the_hub_does_not(about: int, counted: int) -> None:
    call = f"7 epoll_ctl(4, EPOLL_CTL_MOD, {about}, {{events=EPOLLIN}}) = 0"
    trace = [*TRACE[:4], call, *TRACE[4:]]
    assert gate.count_calls(gate.between(trace, "request"), 1)["epoll_ctl"] == counted


def test_a_trace_without_requests_is_no_success() -> None:
    silent = [line for line in TRACE if "POST" not in line]
    with pytest.raises(gate.Unusable):
        gate.count_calls(gate.between(silent, "request"), 1)
