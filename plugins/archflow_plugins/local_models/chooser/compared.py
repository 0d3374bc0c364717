"""Options beside what is asked: the features that a table finds and that a scorer weighs.

Rule: what is here is only handed on; what it is made of stands in `features`, what it is worth in `score`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Beside(Struct, frozen=True):
    """The features of the options, and of the subjects of the backdrop, beside one text."""

    options: NDArray[Any]
    backdrop: NDArray[Any]


class Compared(Struct, frozen=True):
    """Some options beside what is asked.

    Attributes:
        newest: beside the newest turn.
        joined: beside the turns together; None if there is but one.
        likeness: of each option to each subject of the backdrop.
        leans: `Asked.leans`.
        options: how many there are, those that were not compared included.
        whole: `Asked.whole`.
    """

    newest: Beside
    joined: Beside | None
    likeness: NDArray[Any]
    leans: tuple[float, ...]
    options: int
    whole: bool = False


def mixed(compared: Compared, share: float) -> Beside:
    """The features beside the newest turn and beside the turns together, as far as the turns before count."""
    newest, joined = compared.newest, compared.joined
    if joined is None:
        return newest
    return Beside(
        (1 - share) * newest.options + share * joined.options,
        (1 - share) * newest.backdrop + share * joined.backdrop,
    )
