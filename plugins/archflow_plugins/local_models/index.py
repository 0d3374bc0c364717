"""An index of vectors: built when a graph is compiled, kept in it as bytes, searched at run time.

Few vectors are kept as they are and searched exactly; many in a graph of neighbours (HNSW), very many in cells (IVF).
Which, is decided by their number. Each form is searched where it lies: nothing is copied, so workers that map graph.bin
share one index.

Rule: the same vectors give the same bytes: one thread, fixed seeds.
Rule: imports faiss and numpy when an index is built or opened, not before.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Literal

from archflow_schema.errors import ArchflowError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Form = Literal["flat", "hnsw", "ivf"]

EXACT = 4096
"""Up to so many vectors an exact search costs well under a millisecond."""
NEIGHBOURS = 200_000
"""Up to so many vectors a graph of neighbours is worth its memory."""
_HEAD = struct.Struct("<4sBxHI")
_MAGIC = b"AFX1"
_FORMS: tuple[Form, ...] = ("flat", "hnsw", "ivf")


def form_for(count: int) -> Form:
    """How so many vectors are kept."""
    return "flat" if count <= EXACT else "hnsw" if count <= NEIGHBOURS else "ivf"


def build(vectors: NDArray[Any], form: Form | None = None) -> bytes:
    """An index of vectors of length 1, float32 [n, dimension], as bytes. Blocks: seconds for hundreds of thousands.

    Raises:
        ArchflowError: there is no vector, or one is not finite.
    """
    import numpy as np

    data = np.ascontiguousarray(vectors, dtype="<f4")
    if data.ndim != 2 or not data.size or not np.isfinite(data).all():
        raise ArchflowError("an index needs at least one vector, and finite numbers in all of them")
    count, dimension = data.shape
    form = form or form_for(count)
    body = data.tobytes() if form == "flat" else _approximate(data, form)
    return _HEAD.pack(_MAGIC, _FORMS.index(form), dimension, count) + body


class Index:
    """An index, opened.

    Attributes:
        count, dimension: how many vectors, and how long.
        form: how they are kept.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        """Open what `build` made, where it lies: `RunContext.view` has it without a copy.

        Raises:
            ArchflowError: the bytes are something else.
        """
        import numpy as np

        try:
            magic, form, self.dimension, self.count = _HEAD.unpack_from(data)
            _check(magic == _MAGIC, "it does not begin as an index does")
            self.form: Form = _FORMS[form]
            body = memoryview(data)[_HEAD.size :]
            if self.form == "flat":
                self._vectors = np.frombuffer(body, dtype="<f4").reshape(self.count, self.dimension)
                self._index: Any = None
            else:
                import faiss

                self._data = np.frombuffer(body, dtype=np.uint8)  # must live as long as the index
                reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(self._data), self._data.size)  # type: ignore[attr-defined]
                self._index = faiss.read_index(reader, faiss.IO_FLAG_MMAP_IFC)
                holds = (self._index.d, self._index.ntotal)
                _check(holds == (self.dimension, self.count), "it holds other vectors than it says")
        except (struct.error, ValueError, IndexError, RuntimeError) as error:
            raise ArchflowError(
                f"the index of vectors cannot be read: {error}: compile the graph again"
            ) from error

    def search(self, vectors: NDArray[Any], most: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The nearest vectors of each: cosines and places, both [n, most], best first. Place -1 where there are fewer.

        Blocks: well under a millisecond for one vector of a small index; a large one belongs in a thread.
        """
        import faiss
        import numpy as np

        asked = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._index is not None:
            cosines, places = self._index.search(asked, most)
            return cosines, places
        found = min(most, self.count)
        cosines, places = faiss.knn(asked, self._vectors, found, metric=faiss.METRIC_INNER_PRODUCT)
        if found < most:
            rest = ((0, 0), (0, most - found))
            cosines = np.pad(cosines, rest, constant_values=-np.inf)
            places = np.pad(places, rest, constant_values=-1)
        return cosines, places

    def rows(self, places: NDArray[Any]) -> NDArray[Any]:
        """The vectors at some places, as they were put in. Blocks as `search` does.

        Raises:
            ArchflowError: an index of cells does not give its vectors back.
        """
        if self._index is None:
            found: NDArray[Any] = self._vectors[places]
            return found
        if self.form == "ivf":
            raise ArchflowError("an index of cells does not give its vectors back")
        return self._index.reconstruct_batch(places)  # type: ignore[no-any-return]


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def _approximate(data: NDArray[Any], form: Form) -> bytes:
    import faiss

    count, dimension = data.shape
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # more of them would make the bytes differ from run to run
    try:
        if form == "hnsw":
            index: Any = faiss.IndexHNSWFlat(dimension, 32, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = 80
            index.hnsw.efSearch = 64
        else:
            cells = max(1, min(int(4 * count**0.5), count // 39 or 1))
            coarse = faiss.IndexFlatIP(dimension)
            index = faiss.IndexIVFFlat(coarse, dimension, cells, faiss.METRIC_INNER_PRODUCT)
            index.cp.seed = 1234
            index.cp.min_points_per_centroid = 1
            index.nprobe = min(cells, max(8, cells // 8))
            index.train(data)
        index.add(data)
        return bytes(faiss.serialize_index(index).tobytes())
    finally:
        faiss.omp_set_num_threads(threads)
