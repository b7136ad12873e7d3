"""Scores of pairs of texts, by an encoder that reads both (a cross-encoder)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tramontane.blocks.text_encoder import TokenTexts
from tramontane.errors import ConfigError, RequestError

from .queue import Progress, Work
from .rank import RankOptions, Scores
from .text_vectors import packed
from .texts_in import TextsIn

if TYPE_CHECKING:
    from .loaded_task import LoadedTask

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "Identity": lambda x: x, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh,
    "Softmax": lambda x: torch.softmax(x, -1),
}  # fmt: skip
OLDER = "sbert_ce_default_activation_function"


class PairScores:
    """Implements `tramontane.tasks.rank.Ranks`."""

    def __init__(self, opened: LoadedTask) -> None:
        """Raises ConfigError for a function behind the scores that is not known."""
        self._model: Any = opened.model
        if self._model.head is None:
            raise ConfigError(f"{opened.path}: {opened.offer.name} has no head that scores")
        self.labels = int(self._model.cfg.labels)
        self.max_tokens = int(self._model.max_tokens)
        self._in = TextsIn(opened.tokenizer(), self.max_tokens, self._model.cfg.vocab_size)
        self._function = _function(opened.header.config, self.labels)

    def scores(self, pairs: Sequence[tuple[str, str]], options: RankOptions) -> Work:
        if not pairs:
            raise RequestError("there is no document; give at least one")
        if options.instruction is not None:
            raise RequestError("this model reads no instruction; leave it out")
        ids, kinds = self._in.pairs(pairs, truncate=options.truncate)
        return self._work(ids, kinds, options)

    def _work(self, ids: list[list[int]], kinds: list[list[int]], options: RankOptions) -> Work:
        values: list[Any] = [None] * len(ids)
        done = 0
        for some in packed([len(each) for each in ids]):
            told = TokenTexts.of([ids[i] for i in some], [kinds[i] for i in some])
            rows = yield from self._model.rows(told)
            logits = self._model.head(rows, told.lengths).float().cpu()
            for index, row in zip(some, logits, strict=True):
                found = row if options.raw else self._function(row)
                values[index] = found.item() if self.labels == 1 else tuple(found.tolist())
            done += len(some)
            yield Progress(done, len(ids), "pairs")
        return Scores(tuple(values), tuple(map(len, ids)))


def _function(config: Mapping[str, Any], labels: int) -> Callable[[Tensor], Tensor]:
    """What comes behind the logits: as the checkpoint says, or sigmoid of a single label."""
    about = config.get("sentence_transformers")
    about = about if isinstance(about, Mapping) else {}
    name = about.get("activation_fn", config.get(OLDER))
    if name is None:
        return FUNCTIONS["Sigmoid" if labels == 1 else "Identity"]
    found = FUNCTIONS.get(str(name).rpartition(".")[2])
    if found is None:
        raise ConfigError(f"activation_fn {name!r:.60} is not one of {', '.join(FUNCTIONS)}")
    return found


def scores_of(opened: LoadedTask) -> PairScores:
    """What does the task "rank" with encoders."""
    return PairScores(opened)
