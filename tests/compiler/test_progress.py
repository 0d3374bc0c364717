"""Progress: a line at a terminal, nothing elsewhere, and nothing is left of it."""

import io

import pytest

from archflow_compiler import progress


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [
        (0, 0, "m: converting"),
        (0, 10, "m: converting [........................]   0%"),
        (5, 10, "m: converting [############............]  50%"),
        (12, 10, "m: converting [########################] 100%"),
    ],
)
def test_a_line(done, total, shown):
    assert progress.line("m: converting", done, total) == shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_at_a_terminal_the_line_changes_and_is_gone_in_the_end(monkeypatch):
    seen = Terminal()
    monkeypatch.setattr("sys.stderr", seen)
    with progress.shown() as watch:
        watch("a", 0, 2)
        watch("a", 0, 2)
        watch("a", 2, 2)
    assert seen.getvalue().split("\r\x1b[K") == [
        "",
        "a [........................]   0%",
        "a [########################] 100%",
        "",
    ]


def test_elsewhere_nothing_is_shown(monkeypatch):
    seen = io.StringIO()
    monkeypatch.setattr("sys.stderr", seen)
    with progress.shown() as watch:
        watch("a", 1, 2)
    assert not seen.getvalue()
