"""Access log lines: what stands in them and what never does."""

import re
from datetime import datetime

import pytest
import trio
from msgspec import json

from archflow_plugins.record import Attempt, Decision, Record
from archflow_plugins.testing import record, run_context
from archflow_plugins.tracers import access_log
from archflow_plugins.tracers.access_log import FLAGS, AccessLog, AccessLogConfig
from archflow_schema.events import Usage


@pytest.fixture
def written(tmp_path):
    """Writes records and returns the lines."""

    def write(*records: Record, form="json") -> list[str]:
        path = tmp_path / "a.log"
        log = AccessLog(AccessLogConfig(format=form, path=str(path)), run_context())
        for one in records:
            log.finish(one)
        log.flush()
        return path.read_text().splitlines()

    return write


def test_json_line(written):
    usage = Usage(input_tokens=10, output_tokens=5, cached_tokens=4)
    (line,) = written(record(usage=usage, finish_reason="stop", stream=True, guards=[("length", "allow")]))
    found = json.decode(line)
    assert list(found)[:3] == ["event", "level", "timestamp"]
    assert found == {
        "event": "request",
        "level": "info",
        "timestamp": "2025-11-13T02:13:20.500000Z",
        "request_id": "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "client": "192.0.2.2",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "duration": 0.5,
        "bytes_received": 1024,
        "bytes_sent": 472,
        "listener": "egress_traffic",
        "protocol": "HTTP/1.1",
        "model_asked": "gpt-4o",
        "model": "openai/gpt-4o",
        "reason": "name",
        "provider": "openai",
        "upstream": "openai/gpt-4o",
        "stream": True,
        "attempts": 1,
        "ttfb": 0.2,
        "input_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 4,
        "finish_reason": "stop",
        "guards": [["length", "allow"]],
    }
    assert datetime.fromisoformat(found["timestamp"]).tzinfo is not None


def test_who_denied_and_how_sure_it_was(written):
    (line,) = written(record(guards=[("guard a", "deny")], denied_by="a", denied_score=0.75))
    found = json.decode(line)
    assert (found["denied_by"], found["denied_score"]) == ("a", 0.75)


def test_what_an_exchange_does_not_have_is_left_out(written):
    (line,) = written(Record(method="GET", path="/nowhere", status=404, error="not_found", duration=0.001))
    found = json.decode(line)
    assert not {"model", "ttfb", "input_tokens", "attempts", "upstream"} & set(found)


def test_what_a_router_decided(written):
    decision = Decision(
        id="0af7",
        node="choose",
        option="code",
        reason="ranked",
        confidence=0.93456,
        runner_up="story",
        seconds=0.004,
    )
    (line,) = written(record(decisions=[Decision(option="earlier"), decision]))
    found = json.decode(line)
    assert (found["route"], found["route_reason"], found["decision_id"]) == ("code", "ranked", "0af7")
    assert (found["confidence"], found["runner_up"], found["deciding"]) == (0.9346, "story", 0.004)
    assert not {"pinned", "switched", "kept_from"} & set(found)


@pytest.mark.parametrize(
    ("status", "error", "level"),
    [(200, "", "info"), (404, "model_not_found", "warning"), (502, "upstream_refused", "error")],
)
def test_levels(written, status, error, level):
    (line,) = written(record(status=status, error=error))
    assert json.decode(line)["level"] == level


def test_what_lines_have_in_common_is_not_mixed_up(written):
    asked = [("a", "b"), ("b", "a"), ("a", "b"), ("", "b")]
    lines = written(*[record(model_asked=one, model=other) for one, other in asked])
    found = [json.decode(line) for line in lines]
    assert [(one.get("model_asked", ""), one["model"]) for one in found] == asked


def test_what_lines_have_in_common_takes_bounded_memory(written, monkeypatch):
    common: dict[tuple[str | bool, ...], bytes] = {}
    monkeypatch.setattr(access_log, "_common", common)
    strangers = [record(path=f"/{number}") for number in range(access_log._COMMON_AT_MOST + 1)]
    lines = written(*strangers, record(user_agent="x" * 5000))
    assert [json.decode(line)["path"] for line in lines[:2]] == ["/0", "/1"]
    assert json.decode(lines[-1])["user_agent"] == "x" * 5000
    assert len(common) == 1


@pytest.mark.parametrize("form", ["json", "arch"])
def test_no_query_and_no_way_out_of_a_line(written, form):
    nasty = 'x"\r\n{"event":"forged"} \\ \x1b[31m'
    lines = written(
        record(path="/v1/chat?key=canary", user_agent=nasty, method="GE\nT", authority=nasty), form=form
    )
    assert len(lines) == 1
    assert "canary" not in lines[0]
    assert "\x1b" not in lines[0]
    if form == "json":
        assert json.decode(lines[0])["user_agent"] == nasty


ARCH = re.compile(
    r'\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "\S+ \S+ \S+" \d+ \S+ \d+ \d+ \d+ (\d+|-)( "(\\.|[^"\\])*"){6}'
)


def test_arch_line(written):
    (line,) = written(
        record(user_agent="curl/8", authority="localhost:12000", forwarded_for="10.0.0.1"), form="arch"
    )
    assert ARCH.fullmatch(line)
    assert line == (
        '[2025-11-13T02:13:20.000Z] "POST /v1/chat/completions HTTP/1.1" 200 - 1024 472 500 199 "10.0.0.1" "curl/8" '
        '"6ba7b810-9dad-41d1-80b4-00c04fd430c8" "localhost:12000" "192.0.2.1:443" "openai/gpt-4o"'
    )


@pytest.mark.parametrize(
    ("fields", "flag"),
    [({"error": error}, flag) for error, flag in FLAGS.items()] + [({"error": "odd"}, "-")],
)
def test_arch_flags(written, fields, flag):
    (line,) = written(record(attempts=[Attempt()], **fields), form="arch")
    assert ARCH.fullmatch(line)
    assert f'HTTP/1.1" 200 {flag} ' in line


def test_arch_line_of_a_request_that_went_nowhere(written):
    (line,) = written(Record(method="GET", path="/", status=404), form="arch")
    assert ARCH.fullmatch(line)
    assert line.endswith('"-" "-" "-" "-" "-" "-"')


def test_timestamps_follow_the_second(written):
    lines = written(*[record(started_ns=second * 10**9 + 7000, duration=0.0) for second in (1, 2, 1)])
    assert [json.decode(line)["timestamp"] for line in lines] == [
        "1970-01-01T00:00:01.000007Z",
        "1970-01-01T00:00:02.000007Z",
        "1970-01-01T00:00:01.000007Z",
    ]


@pytest.mark.trio
async def test_closing_writes_the_rest_even_when_cancelled(tmp_path):
    path = tmp_path / "a.log"
    log = AccessLog(AccessLogConfig(path=str(path)), run_context())
    log.finish(record())
    with trio.CancelScope() as scope:
        scope.cancel()
        await log.close()
    assert path.read_text().count("\n") == 1


def test_trouble_is_logged_with_a_level(tmp_path):
    seen = []
    folder = tmp_path / "logs"
    folder.mkdir()
    config = AccessLogConfig(path=str(folder / "a.log"))
    log = AccessLog(config, run_context(log=lambda event, **fields: seen.append((event, fields["level"]))))
    folder.rename(tmp_path / "moved")
    log.finish(record())
    log.flush()
    log.flush()
    assert seen == [("access_log_trouble", "error")]
    assert log.dropped == 0
