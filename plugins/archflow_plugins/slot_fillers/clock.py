"""The moment that relative dates are relative to: now, in the zone that the configuration names.

Rule: the only module of the slot fillers that looks at a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from archflow_plugins.contexts import CompileContext


def zone(name: str) -> tzinfo:
    """A time zone by its name.

    Raises:
        ValueError: there is none of that name.
    """
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone '{name}'") from error


def check(name: str, ctx: CompileContext) -> None:
    """Report a time zone that does not exist."""
    try:
        zone(name)
    except ValueError as error:
        ctx.error(
            "unknown-timezone",
            str(error),
            "timezone",
            fix="write one such as Europe/Paris, or leave it out for UTC",
        )


def now(where: tzinfo) -> datetime:
    """Now, as the clocks there show it, without the zone."""
    return datetime.now(where).replace(tzinfo=None)
