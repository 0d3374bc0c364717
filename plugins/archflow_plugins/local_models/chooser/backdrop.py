"""What people ask for in general: ordinary subjects, each described and with some requests, behind every comparison.

It serves twice. Scores say which option fits best, not whether it fits: what the best option scores is held against
what some eighty subjects score, all but those that are about the same as the option itself, so that even an option
alone has rivals. And it is a bridge: "quicksort in Go" has no word in common with "generating code", but stands near
requests that are about programming, which that option is like.

Rule: the backdrop is the same for every graph, and never chosen from.
Invariant: `backdrop.npy` holds the vectors of `Ordinary.texts`; `bench/quality/train_chooser.py` writes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct

from archflow_plugins.contexts import Option
from archflow_plugins.local_models.chooser.asked import Asked
from archflow_plugins.local_models.chooser.features import Cosines
from archflow_plugins.local_models.chooser.table import Table, pack, texts
from archflow_plugins.local_models.errors import ModelCorrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUBJECTS = Path(__file__).parent / "backdrop.txt"
VECTORS = Path(__file__).parent / "backdrop.npy"
INDENT = "  "
NEAREST = 12
"""Ordinary requests near a text that tell what it is about."""
SHARP = 0.07
"""How much nearer ones count more: a cosine that is so much higher counts e times as much."""
ALIKE = 0.6
"""Likeness is counted up to this cosine: a subject is not more like itself than an option can be."""


class Ordinary(Struct, frozen=True):
    """The subjects.

    Attributes:
        subjects: name and description of each.
        requests: what people ask, all subjects together.
        about: of each request, the place of its subject.
    """

    subjects: tuple[Option, ...]
    requests: tuple[str, ...]
    about: tuple[int, ...]

    @property
    def texts(self) -> list[str]:
        """What is embedded."""
        return [*texts(self.subjects), *self.requests]

    @classmethod
    def read(cls) -> Self:
        """Those that ship. Blocks: it reads a small file."""
        subjects: list[Option] = []
        requests: list[str] = []
        about: list[int] = []
        for line in SUBJECTS.read_text("utf-8").splitlines():
            if line.startswith(INDENT):
                requests.append(line.strip())
                about.append(len(subjects) - 1)
            else:
                name, _, text = line.partition(": ")
                subjects.append(Option(name=name, description=text))
        return cls(tuple(subjects), tuple(requests), tuple(about))


class Behind:
    """The backdrop beside what is asked, for one comparison.

    Attributes:
        likeness: of the compared options (rows) to the subjects (columns).
    """

    def __init__(
        self, table: Table, own: NDArray[Any], about: NDArray[Any], likeness: NDArray[Any], seen: Cosines
    ) -> None:
        self._table, self._own, self._about, self._seen = table, own, about, seen
        self.likeness = likeness

    def bridged(self, column: int) -> NDArray[Any]:
        """How near each option is to what ordinary requests like a text are about."""
        return _centred(self.likeness) @ self._about[:, column]  # type: ignore[no-any-return]

    def rows(self, asked: Asked, text: str, column: int) -> NDArray[Any]:
        """The features of the subjects beside a text."""
        every = range(len(self._own))
        return self._table.rows(every, self._seen, asked, text, column, self._own @ self._about[:, column])


class Backdrop:
    """The subjects, prepared.

    Args:
        ordinary: what they are.
        vectors: of `ordinary.texts`.

    Raises:
        ModelCorrupt: the vectors are of other subjects.
    """

    def __init__(self, ordinary: Ordinary, vectors: NDArray[Any]) -> None:
        import numpy as np

        if len(vectors) != len(ordinary.texts):
            raise ModelCorrupt(
                "the scorer's backdrop and its vectors do not belong together: install archflow again"
            )
        subjects, count = ordinary.subjects, len(vectors) - len(ordinary.requests)
        self._table = Table(subjects, pack(subjects, vectors[:count]), vectors.shape[1])
        self._every = range(len(subjects))
        self._mains = self._table.mains(self._every)
        self._own = _centred(self.likeness(self._mains))
        self._requests = np.ascontiguousarray(vectors[count:])
        self._about = np.array(ordinary.about)

    @classmethod
    def installed(cls) -> Self:
        """The backdrop that ships. Blocks: it reads two small files.

        Raises:
            ModelCorrupt: they cannot be read.
        """
        import numpy as np

        try:
            return cls(Ordinary.read(), np.load(VECTORS, allow_pickle=False).astype(np.float32))
        except (OSError, ValueError) as error:
            raise ModelCorrupt(
                f"the scorer's backdrop cannot be read ({error}): install archflow again"
            ) from error

    def behind(self, asked: Asked, vectors: NDArray[Any], mains: NDArray[Any]) -> Behind:
        """The backdrop beside what is asked.

        Args:
            asked: what is asked.
            vectors: of `asked.texts`.
            mains: of the compared options' names and descriptions.
        """
        about = self._subjects_of(vectors[: asked.word])
        return Behind(
            self._table, self._own, about, self.likeness(mains), self._table.compare(self._every, vectors)
        )

    def likeness(self, mains: NDArray[Any]) -> NDArray[Any]:
        """The cosines of options (rows) with the subjects (columns)."""
        found: NDArray[Any] = mains @ self._mains.T
        return found

    def _subjects_of(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """How much texts (columns) are about each subject (rows), by the requests that are nearest."""
        import numpy as np

        cosines = vectors @ self._requests.T
        nearest = np.argpartition(-cosines, NEAREST, axis=1)[:, :NEAREST]
        near = np.take_along_axis(cosines, nearest, axis=1)
        counts = np.exp((near - near.max(1, keepdims=True)) / SHARP)
        counts /= counts.sum(1, keepdims=True)
        found = np.zeros((len(self._own), len(vectors)))
        np.add.at(found, (self._about[nearest], np.arange(len(vectors))[:, None]), counts)
        return found


def _centred(likeness: NDArray[Any]) -> NDArray[Any]:
    """Likeness to each subject, above the mean of all."""
    capped = likeness.clip(max=ALIKE)
    found: NDArray[Any] = capped - capped.mean(1, keepdims=True)
    return found
