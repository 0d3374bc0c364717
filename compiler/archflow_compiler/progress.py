"""A line that shows how far something is, while somebody watches.

Rule: it goes to standard error, only to a terminal, and is gone when the work is done.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

BAR = 24


@contextmanager
def shown() -> Iterator[Callable[[str, int, int], None]]:
    """A line that hears what is being done, how much of it, and of how much; nothing where nobody watches."""
    watched = sys.stderr.isatty()
    there = ""

    def watch(what: str, done: int, total: int) -> None:
        nonlocal there
        now = line(what, done, total)
        if watched and now != there:
            click.echo(f"\r\x1b[K{now}", err=True, nl=False)
            there = now

    try:
        yield watch
    finally:
        if there:
            click.echo("\r\x1b[K", err=True, nl=False)


def line(what: str, done: int, total: int) -> str:
    """Progress as one line; without a bar where nobody knows the total."""
    if not total:
        return what
    part = min(done / total, 1.0)
    filled = int(part * BAR)
    return f"{what} [{'#' * filled}{'.' * (BAR - filled)}] {part:4.0%}"
