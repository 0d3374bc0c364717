"""Measure archflow beside whichever peers are installed: same work, same run, same core.

    python bench/gateway
    python bench/gateway --quick --peers archflow,envoy,nginx
    python bench/gateway --record
    ARCHFLOW_BENCH_PEERS=folder:other python bench/gateway --format json

Rule: rounds are interleaved (every peer once, then every peer again): a neighbour's noise hits them alike.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec
from gateways import PEERS, Peer
from measure import direct, round_of, upstream
from report import Measurement, Row, machine, table
from system import Failed
from tools import HERE, VARIABLE, NotInstalled, Search

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def options() -> argparse.Namespace:
    """The command line."""
    names = ",".join(peer.name for peer in PEERS)
    parser = argparse.ArgumentParser(prog="bench/gateway", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--peers", default=names, help=f"which, separated by commas (default: {names})")
    parser.add_argument(
        "--find-in",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help=f"look for peers here too, as in the environment variable {VARIABLE}",
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each scenario")
    parser.add_argument("--quick", action="store_true", help="one round of one second: to see that it works")
    parser.add_argument(
        "--record", action="store_true", help="write it into bench/README.md and bench/baseline.json"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table")
    return parser.parse_args()


def chosen(names: str) -> list[Peer]:
    """The peers that were asked for, in the order of the table."""
    wanted = {name.strip() for name in names.split(",") if name.strip()}
    unknown = wanted - {peer.name for peer in PEERS}
    if unknown:
        sys.exit(f"unknown peers: {', '.join(sorted(unknown))}; there are {', '.join(p.name for p in PEERS)}")
    return [peer for peer in PEERS if peer.name in wanted]


def measure_once(peer: Peer, row: Row, search: Search, port: int, seconds: float) -> None:
    """One round of one peer, kept in its row."""
    print(f"  {peer.name} ...", end="", file=sys.stderr, flush=True)
    try:
        samples, failures = round_of(peer, search, port, seconds)
    except NotInstalled as missing:
        row.missing = str(missing)
        print(" not installed", file=sys.stderr)
    except Failed as reason:
        row.failures = {"start": str(reason)}
        print(" fails", file=sys.stderr)
    else:
        row.rounds.append(samples)
        row.failures = row.failures | failures
        print(f" {samples.get('c16.cpu_us', 0):.0f} us", file=sys.stderr)


def record(measurement: Measurement) -> None:
    """Keep every sample beside the README, and show the table in it."""
    readme = HERE.parent / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{readme.name} has no place for the table: {BEGIN.strip()} ... {END.strip()}")
    readme.write_text(f"{before}{begin}```\n{table(measurement)}\n```\n{end}{after}")
    (HERE.parent / "baseline.json").write_bytes(msgspec.json.format(msgspec.json.encode(measurement)) + b"\n")


def main() -> None:
    """Measure and print."""
    args = options()
    rounds, seconds = (1, 1.0) if args.quick else (args.rounds, args.seconds)
    peers, search, before = chosen(args.peers), Search(args.find_in), os.getloadavg()[0]
    rows = {peer.name: Row(peer.name, version=peer.version(search)) for peer in peers}
    baseline = Row("direct")
    try:
        with upstream() as port:
            for turn in range(rounds):
                print(f"round {turn + 1} of {rounds}", file=sys.stderr)
                baseline.rounds.append(direct(port, seconds))
                for peer in peers:
                    if not rows[peer.name].missing:
                        measure_once(peer, rows[peer.name], search, port, seconds)
    except (Failed, NotInstalled) as reason:
        sys.exit(f"nothing can be measured here: {reason}")
    measurement = Measurement(machine(before), rounds, seconds, baseline, list(rows.values()))
    if args.record:
        record(measurement)
    print(msgspec.json.encode(measurement).decode() if args.format == "json" else table(measurement))


if __name__ == "__main__":
    main()
