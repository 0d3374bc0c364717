"""What was measured, for eyes and for machines.

Rule: a figure that was not measured is `-`, a scenario that failed is `fails`; neither is ever guessed.
"""

from __future__ import annotations

import os
import platform
import statistics
from pathlib import Path

import msgspec

Medians = dict[str, float]


class Row(msgspec.Struct, omit_defaults=True):
    """One peer: every sample of every round, or why there is none."""

    peer: str
    version: str = ""
    missing: str = ""
    failures: dict[str, str] = {}
    rounds: list[dict[str, float]] = []

    def medians(self) -> Medians:
        """The median of each figure over the rounds."""
        names = {name for one in self.rounds for name in one}
        return {name: statistics.median(one[name] for one in self.rounds if name in one) for name in names}


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    processor: str
    cores: int
    kernel: str
    python: str
    load_before: float
    load_after: float


class Measurement(msgspec.Struct, frozen=True):
    """Everything that one run told."""

    machine: Machine
    rounds: int
    seconds: float
    direct: Row
    peers: list[Row]


def machine(load_before: float) -> Machine:
    """This machine, and how busy it was."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine()
    )
    return Machine(
        processor=processor,
        cores=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=load_before,
        load_after=os.getloadavg()[0],
    )


COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("cpu us", "c16.cpu_us", "{:.0f}"),
    ("32 KB us", "32k.cpu_us", "{:.0f}"),
    ("us/chunk", "stream.cpu_us", "{:.1f}"),
    ("h2 us", "http2.cpu_us", "{:.0f}"),
    ("rps c1", "c1.rps", "{:,.0f}"),
    ("rps c16", "c16.rps", "{:,.0f}"),
    ("rps c64", "c64.rps", "{:,.0f}"),
    ("added p50 us", "added.p50_us", "{:.0f}"),
    ("idle MB", "idle_mb", "{:.0f}"),
    ("loaded MB", "loaded_mb", "{:.0f}"),
    ("start s", "cold_start_s", "{:.2f}"),
)
RATIOS: tuple[tuple[str, str], ...] = (
    ("cpu", "c16.cpu_us"),
    ("32 KB", "32k.cpu_us"),
    ("chunk", "stream.cpu_us"),
    ("http2", "http2.cpu_us"),
    ("idle", "idle_mb"),
    ("start", "cold_start_s"),
)
SUBJECT = "archflow"


def table(measurement: Measurement) -> str:
    """The figures, and below them every peer as a multiple of archflow."""
    where = measurement.machine
    lines = [
        f"{where.processor}, {where.cores} cores, Linux {where.kernel}, Python {where.python}",
        f"load average {where.load_before:.2f} before, {where.load_after:.2f} after",
        f"medians of {measurement.rounds} round(s) of {measurement.seconds:g} s; tested on one core",
        "",
    ]
    direct = measurement.direct.medians()
    medians = {row.peer: _with_added(row.medians(), direct) for row in measurement.peers}
    cells = [["peer", *(title for title, _, _ in COLUMNS)], ["direct", *_cells(direct, {})]]
    for row in measurement.peers:
        if row.missing:
            cells.append([row.peer, "not installed"])
        elif not row.rounds:
            cells.append([row.peer, "fails"])
        else:
            cells.append([row.peer, *_cells(medians[row.peer], row.failures)])
    lines += _aligned(cells)
    if medians.get(SUBJECT):
        lines += ["", f"as a multiple of {SUBJECT} (above 1: {SUBJECT} is cheaper)"]
        lines += _aligned([["peer", *(title for title, _ in RATIOS)], *_ratios(medians)])
    lines.append("")
    for row in measurement.peers:
        lines += [
            f"{row.peer}: {name} fails: {reason.splitlines()[0]}" for name, reason in row.failures.items()
        ]
        lines += [f"{row.peer}: not found: {row.missing}"] if row.missing else []
    lines += (f"{row.peer}: {row.version}" for row in measurement.peers if row.version)
    return "\n".join(lines)


def _with_added(medians: Medians, direct: Medians) -> Medians:
    if "c1.p50_us" not in medians:
        return medians
    return {**medians, "added.p50_us": medians["c1.p50_us"] - direct["c1.p50_us"]}


def _cells(medians: Medians, failures: dict[str, str]) -> list[str]:
    return [
        pattern.format(medians[name])
        if name in medians
        else "fails"
        if name.split(".")[0] in failures
        else "-"
        for _, name, pattern in COLUMNS
    ]


def _ratios(medians: dict[str, Medians]) -> list[list[str]]:
    own = medians[SUBJECT]
    return [
        [
            peer,
            *(
                f"{theirs[name] / own[name]:.2f}" if name in theirs and own.get(name) else "-"
                for _, name in RATIOS
            ),
        ]
        for peer, theirs in medians.items()
        if peer != SUBJECT and theirs
    ]


def _aligned(cells: list[list[str]]) -> list[str]:
    full = [row for row in cells if len(row) == len(cells[0])]
    widths = [max(len(row[column]) for row in full) for column in range(len(cells[0]))]
    widths[0] = max(len(row[0]) for row in cells)
    lines = []
    for row in cells:
        if len(row) < len(widths):
            lines.append("  ".join([row[0].ljust(widths[0]), *row[1:]]))
        else:
            numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
            lines.append("  ".join([row[0].ljust(widths[0]), *numbers]))
    return lines
