"""What can be wrong with a local model, as exceptions::

    ArchflowError
      ModelError               a local model cannot be used
        UnknownModel             no entry has this name; also a KeyError
        ModelCorrupt             a file is cut short, lies about its sizes, or is something else
        ModelChanged             a file's digest is not the one that was recorded
        ModelUnsupported         whole, but of a kind that cannot be converted or run here
        ModelUnavailable         it cannot be fetched: no registry, no extra, no space

Rule: every text says what is wrong, where, and what to do next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from archflow_schema.errors import ArchflowError


class ModelError(ArchflowError):
    """A local model cannot be used."""


class UnknownModel(ModelError, KeyError):
    """No entry of the catalogue has this name."""

    def __str__(self) -> str:
        return str(self.args[0])


class ModelCorrupt(ModelError):
    """A file is cut short, lies about its sizes, or is something else than its name says."""


class ModelChanged(ModelError):
    """A file's digest is not the one that was recorded."""


class ModelUnsupported(ModelError):
    """A model is whole, but of a kind that cannot be converted or run here."""


class ModelUnavailable(ModelError):
    """A model cannot be fetched or kept: no registry, no extra, no space."""


_DISTRIBUTIONS = {"faiss": "faiss-cpu"}


@contextlib.contextmanager
def libraries() -> Iterator[None]:
    """Name the package of a library that is not there, which is imported late.

    Raises:
        ModelUnavailable: it was uninstalled.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        package = _DISTRIBUTIONS.get(module, module)
        raise ModelUnavailable(
            f"local models need the package {package}, which is not installed", fix=f"`pip install {package}`"
        ) from error
