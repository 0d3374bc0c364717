"""The proof of a thought on its way to a client of Messages: Claude's own as it is, a foreign one wrapped."""

from __future__ import annotations

from archflow_plugins.dialects.anthropic_messages.words import CLAUDE
from archflow_plugins.dialects.sealed import Proof, wrap
from archflow_schema.events import ReasoningDelta


class ProofGatherer:
    """Gathers what the deltas of one thought say beside its text."""

    __slots__ = ("_id", "_origin", "_sealed", "_signature")

    def __init__(self) -> None:
        self._signature: list[str] = []
        self._sealed: list[str] = []
        self._id = ""
        self._origin = ""

    def add(self, event: ReasoningDelta) -> None:
        """Note what one delta says."""
        if event.signature:
            self._signature.append(event.signature)
        if event.sealed:
            self._sealed.append(event.sealed)
        self._id = event.id or self._id
        self._origin = event.origin or self._origin

    @property
    def own(self) -> bool:
        """Whether Claude had the thought."""
        return self._origin in CLAUDE

    def signature(self) -> str:
        """The `signature` of a thought whose text the client sees; empty if there is nothing to bring back."""
        if self.own:
            return "".join(self._signature)
        return self._wrapped() if self._origin else ""

    def data(self) -> str:
        """The `data` of a redacted thought, whose text nobody sees; empty if there is none."""
        if self.own:
            return "".join(self._sealed)
        return self._wrapped() if self._signature or self._sealed or self._id else ""

    def _wrapped(self) -> str:
        proof = Proof(signature="".join(self._signature), sealed="".join(self._sealed), id=self._id)
        return wrap(self._origin, proof)
