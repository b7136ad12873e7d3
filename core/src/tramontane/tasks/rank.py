"""The task "rank": how well documents answer a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tramontane.errors import RequestError
from tramontane.option_checks import FLAG, a_text, check_options, whole

from .face import Awaiting, Waiting, texts_of
from .finite import require_finite
from .queue import Progress, Work
from .waiting import run, run_async

CHECKS = {
    "top_n": whole(none=True),
    "instruction": a_text("what makes a document relevant", none=True),
    "raw": FLAG,
    "truncate": FLAG,
}
MOST_PAIRS = 1 << 16


@dataclass(frozen=True, kw_only=True)
class RankOptions:
    """How pairs are scored. Raises RequestError for values that cannot be."""

    top_n: int | None = None
    """The best so many documents; None: all."""
    instruction: str | None = None
    """What makes a document relevant, for models that read it; None: their own."""
    raw: bool = False
    """Whether scores are the model's logits, without the function that it ends with."""
    truncate: bool = False
    """Whether pairs that are too long are cut; otherwise they are refused."""

    def __post_init__(self) -> None:
        check_options(vars(self), CHECKS)


@dataclass(frozen=True)
class Scores:
    """values: the score of each pair; of models with several labels, a tuple of each. tokens: of
    each pair. Raises RequestError for scores that are not finite."""

    values: tuple[float, ...] | tuple[tuple[float, ...], ...]
    tokens: tuple[int, ...]

    def __post_init__(self) -> None:
        for index, value in enumerate(self.values):
            several = value if isinstance(value, tuple) else (value,)
            require_finite(several, f"the score of pairs[{index}]")


@dataclass(frozen=True)
class Ranked:
    """A document, `index` of those given, and its score."""

    index: int
    score: float
    document: str


class Ranks(Protocol):
    """What does the task: an object that an architecture's `tasks["rank"]` returns."""

    @property
    def max_tokens(self) -> int:
        """Tokens of a pair, at most."""

    @property
    def labels(self) -> int:
        """Numbers of a score."""

    def scores(self, pairs: Sequence[tuple[str, str]], options: RankOptions) -> Work:
        """A piece of work that returns `Scores`. Bad input is refused at this call already: raises
        RequestError. A pair's bits depend on it and the options alone."""


def pairs_of(query: str, documents: Sequence[str]) -> list[tuple[str, str]]:
    """Raises RequestError."""
    if not isinstance(query, str):
        raise RequestError(f"query should be a text, not {query!r:.60}")
    found = texts_of(documents, "documents")
    if len(found) > MOST_PAIRS:
        raise RequestError(f"{len(found)} documents are more than {MOST_PAIRS} at once")
    return [(query, document) for document in found]


def ranked(scores: Scores, documents: Sequence[str], top_n: int | None) -> list[Ranked]:
    """The best documents first, equals in their order. Raises RequestError of several labels."""
    if scores.values and isinstance(scores.values[0], tuple):
        raise RequestError(
            f"the model gives {len(scores.values[0])} scores for a pair, so there is no best; "
            "score returns them"
        )
    order = sorted(range(len(documents)), key=lambda i: -scores.values[i])  # type: ignore[operator]
    return [Ranked(i, scores.values[i], documents[i]) for i in order][:top_n]  # type: ignore[arg-type]


class Reranker(Waiting):
    """A model that scores documents for a query. A context manager, thread-safe."""

    task = "rank"
    runner: Ranks

    def rank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: object,
    ) -> list[Ranked]:
        """The documents with their scores, the best first. options: see `RankOptions`. Raises
        RequestError for texts that are empty or too long, EngineBusy."""
        made = RankOptions(**options)  # type: ignore[arg-type]
        found: Scores = run(
            self.queue, self.runner.scores(pairs_of(query, documents), made), progress
        )
        return ranked(found, documents, made.top_n)

    def score(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: object,
    ) -> Scores:
        """The scores of pairs of texts, in their order."""
        work = self.runner.scores(list(pairs), RankOptions(**options))  # type: ignore[arg-type]
        found: Scores = run(self.queue, work, progress)
        return found


class AsyncReranker(Awaiting):
    """The same for asyncio."""

    task = "rank"
    runner: Ranks

    async def rank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: object,
    ) -> list[Ranked]:
        """As `Reranker.rank`."""
        made = RankOptions(**options)  # type: ignore[arg-type]
        found = await self._scores(pairs_of(query, documents), made, progress)
        return ranked(found, documents, made.top_n)

    async def score(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        progress: Callable[[Progress], None] | None = None,
        **options: object,
    ) -> Scores:
        """As `Reranker.score`."""
        return await self._scores(list(pairs), RankOptions(**options), progress)  # type: ignore[arg-type]

    async def _scores(
        self,
        pairs: Sequence[tuple[str, str]],
        options: RankOptions,
        progress: Callable[[Progress], None] | None,
    ) -> Scores:
        import asyncio

        work = await asyncio.to_thread(self.runner.scores, pairs, options)
        found: Scores = await run_async(self.queue, work, progress)
        return found
