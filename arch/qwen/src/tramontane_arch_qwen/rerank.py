"""Qwen3-Reranker: a Qwen3 that answers whether a document meets a query with "yes" or "no"."""

from collections.abc import Sequence
from typing import Any

import torch
from tramontane.blocks.task_model import device_of
from tramontane.errors import ConfigError, RequestError
from tramontane.tasks.queue import Progress, Work
from tramontane.tasks.rank import RankOptions, Scores
from tramontane.tasks.text_vectors import FromEngine
from tramontane.tasks.texts_in import bounded

BEFORE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and "
    'the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n"
)
BEHIND = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"


class YesNo:
    """Implements `tramontane.tasks.rank.Ranks`: a score is the probability of "yes", of these two
    answers alone."""

    labels = 1

    def __init__(self, opened: Any) -> None:
        """opened: a loaded Qwen3. Raises ConfigError where its vocabulary lacks the answers."""
        self._source = FromEngine(opened)
        self._logits = opened.loaded.model.logits
        self._device = device_of(opened.loaded.model.model.norm)
        self._tokenizer = opened.tokenizer
        self.max_tokens = self._source.most
        answers = [self._ids(word) for word in ("yes", "no")]
        if any(len(each) != 1 for each in answers):
            raise ConfigError(f'{opened.name}: "yes" and "no" are no tokens of its vocabulary')
        self._answers = [each[0] for each in answers]
        self._before, self._behind = self._ids(BEFORE), self._ids(BEHIND)

    def scores(self, pairs: Sequence[tuple[str, str]], options: RankOptions) -> Work:
        if not pairs:
            raise RequestError("there is no document; give at least one")
        told = options.instruction or INSTRUCTION
        room = self.max_tokens - len(self._before) - len(self._behind)
        ids = []
        for index, pair in enumerate(pairs):
            query, document = bounded(
                pair, f"pairs[{index}]", self.max_tokens, truncate=options.truncate
            )
            for place, text in enumerate((query, document)):
                if not text.strip():
                    raise RequestError(f"pairs[{index}][{place}] is empty; give a text")
            body = self._ids(f"<Instruct>: {told}\n<Query>: {query}\n<Document>: {document}")
            if len(body) > room and not options.truncate:
                raise RequestError(
                    f"pairs[{index}] has {len(body)} tokens, {len(body) - room} more than the "
                    f"model takes, {room}; shorten it, or ask for truncate"
                )
            ids.append([*self._before, *body[: max(room, 0)], *self._behind])
        return self._work(ids, options)

    def _work(self, ids: list[list[int]], options: RankOptions) -> Work:
        values = [0.0] * len(ids)
        done = 0
        for event in self._source.rows(ids):
            if event is None:
                yield None
                continue
            index, rows = event
            found = self._logits(rows[-1:].to(self._device))
            yes, no = found.float().cpu()[0, self._answers]
            values[index] = (yes - no if options.raw else torch.sigmoid(yes - no)).item()
            done += 1
            yield Progress(done, len(ids), "pairs")
        return Scores(tuple(values), tuple(map(len, ids)))

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text, add_special=False)
        return found
