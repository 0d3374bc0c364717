"""A language model in this process: text token by token, constrained if asked, and the likelihood of given texts.

CTranslate2 drafts: it runs ahead, a token a step, with its own cache of what came before, and tells each step. The host
looks at every token. While the draft is what the host would choose, nothing is slower than CTranslate2 alone; where the
host chooses otherwise (a constraint, a seed, text that must be written anyway) the run is ended and begun again behind
the chosen token. So greedy, sampled, seeded and constrained generation are one loop, and several of them share a batch.

Rule: everything here blocks and belongs in a thread; `host` sees to that.
Rule: imports ctranslate2 and numpy when a model is opened, not before.
Invariant: with a rule, a generation that ends by itself or by its limit is a whole text of that rule: its shortest end
has at every step room in the tokens that are left, be it by its bytes or as it was counted (`_way`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from archflow_plugins.local_models.chat_template import Template, Turn, counts, render, stop_tokens, template
from archflow_plugins.local_models.constrain import Constraint, Rule, forget
from archflow_plugins.local_models.sample import Chooser, Sampling, Score, score
from archflow_plugins.local_models.tokens import Growing, Mark, StopStrings, TooMany, Vocabulary
from archflow_schema.errors import ArchflowError, ClientProtocolError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from archflow_plugins.local_models.cache import Model
    from archflow_plugins.local_models.grammar import Place
    from archflow_plugins.local_models.tool_calls import Calls

STEPS = 64
"""Tokens of one run where every step's logits are kept (about 200 KiB each, for the length of the run)."""
CLOSING_AT_MOST = 2048
"""Bytes of an end that are counted in tokens; longer ones are taken to need a token a byte."""
COUNTED_AT_MOST = 8
"""Ends that are counted in tokens for one step."""


class Piece(Struct, frozen=True):
    """A bit of generated text, and the tokens that it came with. `called` tells that it belongs to calls of tools."""

    text: str
    scores: tuple[Score, ...] = ()
    called: bool = False


def _nobody(_: Piece) -> None:
    """Hears what comes after the end."""


class Generation:
    """One text being generated.

    Attributes:
        prompt: the tokens that it answers.
        tokens: what was generated so far.
        reason: why it ended: `stop`, `length`, `cancelled`; empty while it goes on.
        cancelled: set from anywhere when nobody wants it any more.
        called: whether it calls tools, from here on.

    Raises:
        ClientProtocolError: the prompt does not fit the model's context, or no text of the rule fits `max_tokens`.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: Sequence[int],
        sampling: Sampling,
        tell: Callable[[Piece], None],
        rule: Rule | None = None,
        calls: Calls | None = None,
    ) -> None:
        self.prompt = list(prompt)
        self.sampling = sampling
        self.tokens: list[int] = []
        self.reason = ""
        self.cancelled = False
        self.called = False
        self._words = model.words
        self._ends = model.ends
        self._tell = tell
        self._chooser = Chooser(sampling)
        self._constraint: Constraint | None = None
        self._way: list[int] = []
        self._counted = 0
        self._cut = False
        self._mark = Mark(calls.mark, anywhere=calls.anywhere) if calls and not calls.required else None
        self._calls = calls
        self._growing = Growing()
        self._stop = StopStrings(sampling.stop)
        if calls is not None and calls.required:
            self.prompt += self._words.encode_bytes(calls.mark)
            self.called = True
            rule = calls.rule
        room = model.context - len(self.prompt)
        if room < 1:
            raise model.too_long(len(self.prompt))
        self.limit = min(sampling.max_tokens or room, room)
        if rule is not None and not self._follow(rule):
            raise ClientProtocolError(
                f"no text that fits the format has room in {self.limit} tokens: allow "
                f"{len(self._words.encode_bytes(rule.begin().closing()))} or more"
            )

    @property
    def stopped_by(self) -> str:
        """The stop string that ended it; empty if none did."""
        return self._stop.found

    @property
    def looks(self) -> bool:
        """Whether every step's logits are needed."""
        return self._constraint is not None or self._chooser.draws or self.sampling.logprobs is not None

    @property
    def draft(self) -> tuple[float, float]:
        """Temperature and top_p that CTranslate2 drafts with; what runs together has them in common."""
        if self.sampling.temperature <= 0 or self._chooser.draws:
            return (0.0, 1.0)
        return (self.sampling.temperature, self.sampling.top_p)

    @property
    def left(self) -> int:
        """How many tokens may still come."""
        return self.limit - len(self.tokens)

    def hear(self, draft: int, logits: NDArray[Any] | None) -> bool:
        """The model proposes a token. Returns whether it may run on behind it."""
        if self.cancelled:
            self._end("cancelled")
            return False
        chosen = draft
        self._counted = 0
        if logits is not None and (self._constraint is not None or self._chooser.draws):
            chosen = self._chooser.choose(logits, draft, self._fits, self._every)
        scores: tuple[Score, ...] = ()
        if self.sampling.logprobs is not None and logits is not None:
            scores = (score(logits, chosen, self.sampling.logprobs),)
        if chosen in self._ends or not self._words.bytes[chosen]:
            self._end("stop")
            return False
        held = self._constraint
        if held is not None:
            self._take(chosen)
        self._add(chosen, scores)
        if self._constraint is not held:
            return False  # a call began, and from here on every step's logits are needed
        return not self.reason and not self._write_forced() and chosen == draft

    def cancel(self) -> None:
        """Nobody wants it any more; it ends at its next step."""
        self.cancelled = True

    def _follow(self, rule: Rule) -> bool:
        """Hold what comes next to a rule. Returns False where no text of it fits what is left."""
        begun = rule.begin()
        if begun.least > self.left:
            self._way = self._words.encode_bytes(begun.closing())
            if len(self._way) > self.left:
                return False
        self._constraint = begun
        if begun.least > max(self.left, CLOSING_AT_MOST):
            self._write(self._way)
            self._end("length")
        self._write_forced()
        return True

    def _fits(self, token: int) -> bool:
        rule = self._constraint
        if rule is None:
            return True
        if token in self._ends:
            return rule.whole
        place = rule.after(token)
        if place is None or place.least < self.left:
            return place is not None
        self._counted += 1
        return self._counted <= COUNTED_AT_MOST and self._leads(place, self.left - 1)

    def _leads(self, place: Place, left: int) -> bool:
        """Whether a place's shortest end has room in so many tokens."""
        if place.least <= left:
            return True
        return place.least <= CLOSING_AT_MOST and len(self._words.encode_bytes(place.finish())) <= left

    def _every(self) -> list[int]:
        rule = self._constraint
        if rule is None:
            return list(range(len(self._words)))
        if self._way:
            self._cut = True
            return self._way[:1]
        found = list(rule.fitting(self.left - 1))
        return [*found, min(self._ends)] if rule.whole and self._ends else found

    def _take(self, token: int) -> None:
        """The constraint goes on with a token that is about to be added."""
        rule = self._constraint
        assert rule is not None  # noqa: S101 - who calls has asked
        rule.take(token)
        if rule.least < self.left:
            self._way = []
        elif self._way[:1] == [token]:
            self._way = self._way[1:]
        else:
            self._way = self._words.encode_bytes(rule.closing())

    def _write_forced(self) -> bool:
        """Write what must follow whatever the model says. Returns whether anything did."""
        rule = self._constraint
        if rule is None or self.reason:
            return False
        data = rule.forced()
        if data:
            tokens = self._words.encode_bytes(data)
            after = rule.place.read(data)
            if self._way and (after is None or not self._leads(after, self.left - len(tokens))):
                tokens = self._way  # what must follow costs more tokens by itself than as a part of the end
                self._cut = True
            self._write(tokens)
        if rule.over and not self.reason:
            self._end("stop")
        elif not self.left and not self.reason:
            self._end("length")
        return bool(data)

    def _write(self, tokens: Sequence[int]) -> None:
        known = self.sampling.logprobs is not None
        for token in tokens:
            if self._constraint is not None:
                self._take(token)
            self._add(token, (Score(token, 0.0),) if known else ())

    def _add(self, token: int, scores: tuple[Score, ...]) -> None:
        data = self._words.bytes[token]
        end = self._mark.end(data) if self._mark is not None else 0
        if end:
            self._call(token, data[:end])
            return
        self.tokens.append(token)
        self._say(self._growing.add(data), scores)
        if self._stop.found:
            self._end("stop")
        elif not self.left and (self._constraint is None or not self._constraint.forced()):
            self._end("stop" if self._constraint is not None and self._constraint.over else "length")

    def _say(self, text: str, scores: tuple[Score, ...] = ()) -> None:
        if not self.called:
            text = self._stop.add(text if self._mark is None else self._mark.before(text))
        if text or scores:
            self._tell(Piece(text, scores, self.called))

    def _call(self, token: int, data: bytes) -> None:
        """The mark of a call ends with this token, or within it: then the token is spelt up to there."""
        assert self._calls is not None  # noqa: S101 - there is a mark
        tokens = [token] if data == self._words.bytes[token] else self._words.encode_bytes(data)
        self.tokens += tokens[: self.left]
        self._say(self._growing.add(data))
        if self._stop.found:
            self._end("stop")
            return
        self._say_held()
        self.called, self._mark = True, None
        if not self._follow(self._calls.rule):
            self.called = False
            self._end("length")

    def _say_held(self) -> None:
        """What was held back, as it might have been part of a stop string or of a mark."""
        held = self._stop.add(self._mark.rest()) if self._mark is not None else ""
        held += self._stop.end()
        if held:
            self._tell(Piece(held, (), self.called))

    def _end(self, reason: str) -> None:
        if self.reason:
            return
        self.reason = "length" if reason == "stop" and self._cut and not self._stop.found else reason
        if reason != "cancelled" and not self._stop.found:
            self._say(self._growing.end())
            self._say_held()
        self._tell = _nobody  # who was told holds on to us, and we to the vocabulary


class LanguageModel:
    """A language model, opened.

    Attributes:
        name: as the catalogue has it.
        words: its vocabulary.
        ends: the tokens that end its turn.
        context: how many tokens prompt and answer may have together.
        memory: bytes of its weights.
    """

    def __init__(self, model: Model, threads: int = 1, parallel: int = 1) -> None:
        """Open a model. Blocks: for a fraction of a second.

        Args:
            model: converted, in the cache.
            threads: for each generation.
            parallel: generations that run beside each other, one batch each.

        Raises:
            ArchflowError: it cannot be opened.
        """
        import ctranslate2

        entry = model.entry
        self.name = entry.name
        self._system = entry.system
        self._frame = template(entry.template)
        self.words = Vocabulary(model.folder)
        self.ends = stop_tokens(self._frame, self.words)
        self.context = entry.limits.max_tokens or 2048
        try:
            self._generator: Any = ctranslate2.Generator(
                str(model.folder), device="cpu", inter_threads=parallel, intra_threads=threads
            )
        except (RuntimeError, ValueError) as error:
            raise ArchflowError(
                f"the local model {entry.name} cannot be opened: {error}: `archc models verify {entry.name}` tells more"
            ) from error
        self.memory = sum(file.stat().st_size for file in model.folder.glob("model*.bin"))

    @property
    def frame(self) -> Template:
        """How conversations are written for it."""
        return self._frame

    def prompt(self, turns: Sequence[Turn], tools: str = "") -> list[int]:
        """The tokens of a conversation that the model is to answer.

        Args:
            turns: what was said.
            tools: what the system turn says of tools, from `tool_calls.told`.

        Raises:
            ClientProtocolError: it is longer than the model takes.
        """
        try:
            return render(self._frame, turns, self.words, self._system, tools, self.context)
        except TooMany as error:
            raise self.too_long(error.count) from None

    def counts(self, turns: Sequence[Turn], tools: str = "") -> Iterator[int]:
        """How many tokens the parts of such a prompt have, also where it is longer than the model takes. Blocks."""
        return counts(self._frame, turns, self.words, self._system, tools)

    def too_long(self, count: int) -> ClientProtocolError:
        """Says that a conversation of at least so many tokens does not fit."""
        return ClientProtocolError(
            f"the conversation has {count} tokens or more, and {self.name} takes {self.context} with its answer: "
            "shorten it"
        )

    def warm(self) -> None:
        """Run once, so that the first request finds everything allocated."""
        generation = Generation(
            self, self.prompt([Turn("user", "hi")]), Sampling(max_tokens=2), lambda _: None
        )
        self.generate(generation)
        _ = (self.words.ordered, self.words.by_bytes, self.words.longest)

    def generate(self, generation: Generation) -> None:
        """Run one generation to its end. Blocks until then."""
        while not generation.reason:
            self.run([generation])

    def run(self, batch: Sequence[Generation], interrupt: Callable[[], bool] = lambda: False) -> None:
        """Run some generations until each ended or has to begin anew behind what it has. Blocks until then.

        Args:
            batch: with the same `draft`; best of about the same length.
            interrupt: asked at every step; True ends the run so that others may join.
        """
        batch = [one for one in batch if not one.reason]
        if not batch:
            return
        told = _Told(batch, interrupt)
        looks = any(one.looks for one in batch)
        steps = max(one.left for one in batch)
        temperature, top_p = batch[0].draft
        try:
            self._generator.generate_batch(
                [self.words.name_all(one.prompt + one.tokens) for one in batch],
                max_length=min(steps, STEPS) if looks else steps,
                end_token=self.words.name_all(sorted(self.ends)),
                include_prompt_in_result=False,
                return_logits_vocab=looks,
                sampling_topk=0 if temperature > 0 else 1,
                sampling_topp=top_p,
                sampling_temperature=temperature if temperature > 0 else 1.0,
                callback=told.step,
            )
        finally:
            told.forget()

    def score(self, prompt: Sequence[int], texts: Sequence[Sequence[int]]) -> list[list[float]]:
        """The log-probability of each token of some continuations of a prompt. Blocks: one pass for all.

        Raises:
            ArchflowError: a continuation is empty, or too long with its prompt.
        """
        start = list(prompt) or [min(self.ends)]
        if any(not one or len(start) + len(one) > self.context for one in texts):
            raise ArchflowError(
                f"what {self.name} is to score must have from 1 to {self.context} tokens with its prompt"
            )
        if not texts:
            return []
        results = self._generator.score_batch([self.words.name_all([*start, *one]) for one in texts])
        return [
            [float(value) for value in result.log_probs[-len(one) :]]
            for result, one in zip(results, texts, strict=True)
        ]

    def close(self) -> None:
        """Free the weights, as CTranslate2 does with the last reference, and the rules that were made for it."""
        self._generator = None
        forget(self.words)


class _Told:
    """Hears the steps of one run.

    The logits of all generations that still run come with the first of a step, a row for each in their order.
    """

    def __init__(self, batch: Sequence[Generation], interrupt: Callable[[], bool]) -> None:
        self._batch = batch
        self._interrupt = interrupt
        self._rows = list(range(len(batch)))
        self._ended: set[int] = set()
        self._logits: NDArray[Any] | None = None

    def forget(self) -> None:
        """The run is over. CTranslate2's thread holds on to us a little longer, and must not be the last to hold what
        leads to the model: a model that is freed by its own thread ends the process.
        """
        self._batch, self._interrupt, self._logits = (), bool, None

    def step(self, result: Any) -> bool:
        """One token of one generation; True ends its run."""
        index = result.batch_id
        if result.logits is not None and 0 not in result.logits.shape and result.logits.shape:
            import numpy as np

            self._logits = np.array(result.logits, dtype=np.float32)
            self._rows = [one for one in self._rows if one not in self._ended]
        row = None if self._logits is None else self._logits[self._rows.index(index)]
        goes_on = self._batch[index].hear(result.token_id, row) and not self._interrupt()
        if not goes_on or result.is_last:
            self._ended.add(index)
        return not goes_on
