"""A model's own layer guesses a token further, from what the model has computed of each token.

Its row at a position takes the hidden state there and the token behind. Its keys and values lie in
the model's blocks, in a cache of its own. Rows are computed for all tokens that the model computes;
where some were not, as of a prefix that another request left, it sees what comes after them only.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence as SequenceOf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tramontane.drafting import DraftHead

from .batch import Batch, MediaInput
from .kv_cache import BLOCK_SIZE, KVCache
from .scheduler import Scheduler
from .sequence import Sequence
from .step_rows import Rows

log = logging.getLogger(__name__)
Work = list[tuple[Sequence, int]]
Piece = tuple[int, int, int, SequenceOf[int], SequenceOf[int]]
"""See `Batch.of`."""
HELD = 64
"""Rows of a sequence that may wait to be computed until it is guessed for."""


class HeadPlace:
    """How far the head has come in one sequence.

    first: position of the first row that it sees, at a block's border. computed: of the next row to
    compute; hidden: the hidden states from there on.
    """

    def __init__(self, first: int, computed: int, whole: int, width: int) -> None:
        self.first, self.computed, self.whole = first, computed, whole
        self.hidden = torch.empty(0, width)

    @property
    def end(self) -> int:
        """Position behind the last whose hidden state is here."""
        return self.computed + len(self.hidden)

    def note(self, first: int, rows: Tensor) -> None:
        """Take hidden states of positions `first` and on; those that were here are replaced."""
        if first > self.end:  # some are missing: begin anew behind them
            self.first = -(-first // BLOCK_SIZE) * BLOCK_SIZE
            self.computed, self.whole, self.hidden = self.first, 0, rows[:0]
            rows = rows[self.first - first :]
        elif first < self.computed:
            rows = rows[self.computed - first :]
            self.hidden = self.hidden[:0]
        else:
            self.hidden = self.hidden[: first - self.computed]
        self.hidden = torch.cat((self.hidden, rows))

    def take(self, count: int) -> Tensor:
        """The next rows, which are computed now."""
        rows, self.hidden = self.hidden[:count], self.hidden[count:]
        self.computed += count
        return rows

    def forked(self) -> HeadPlace:
        """The place of a sequence that goes on from this one."""
        found = HeadPlace(self.first, self.computed, self.whole, self.hidden.shape[1])
        found.hidden = self.hidden
        return found

    def leave(self) -> None:
        """The sequence is gone from its blocks."""


class HeadGuesser:
    """Guesses with a model's own layer, for several sequences in each of its steps."""

    writes = True

    def __init__(self, draft: DraftHead, scheduler: Scheduler, vocab_size: int) -> None:
        self._head, self._model = draft.head, draft.loaded.model
        self._vocab_size = min(vocab_size, draft.loaded.config.vocab_size)
        self._known = draft.loaded.config.known_tokens
        self._rows = scheduler.batch_size
        self._device = torch.device(draft.loaded.device.torch_device)
        self._width = draft.loaded.config.hidden_size
        cache = scheduler.cache
        self.cache = KVCache(
            self._head, cache.blocks, draft.loaded.kv_dtype, self._device,
            remember=False, whole=True,
        )  # fmt: skip
        self._whole: set[int] = set()
        """Blocks that are computed to their end, with all before them."""
        cache.forgetters.append(self._whole.discard)
        cache.mirrors.append(self.cache)

    def noted(self, work: Work) -> None:
        """Take over the hidden states of a step, before the next writes over them."""
        found = self._model.hidden
        if found is None:
            return
        hidden = found if isinstance(found, Tensor) else torch.from_numpy(found)
        row, waiting = 0, []
        for sequence, count in work:
            place = sequence.place
            if place is None:
                place = sequence.place = self._place(sequence)
            place.note(sequence.computed, hidden[row : row + count].float().cpu().clone())
            row += count
            own = sequence.computed + count - len(sequence.drafts)
            ready = min(own, sequence.length - 1) - place.computed
            if ready > HELD or (ready > 0 and sequence.computed < len(sequence.request.prompt)):
                waiting.append((sequence, ready))
        while waiting:
            room, now, later = self._rows, [], []
            for sequence, count in waiting:
                taken = min(count, room)
                room -= taken
                if taken:
                    now.append((sequence, taken))
                if count > taken:
                    later.append((sequence, count - taken))
            self._follow(now, wanted=False)
            waiting = later

    def _place(self, sequence: Sequence) -> HeadPlace:
        whole = 0
        for block in sequence.blocks:
            if block not in self._whole:
                break
            whole += 1
        known = min(whole * BLOCK_SIZE, sequence.computed)
        return HeadPlace(0, known, whole, self._width)

    def guess(self, asked: Work) -> list[SequenceOf[int] | None]:
        rounds = [
            _Round(index, sequence, count, behind)
            for index, (sequence, count) in enumerate(asked)
            if (behind := _behind(sequence)) > 0
        ]
        found: list[SequenceOf[int] | None] = [None] * len(asked)
        if not rounds:
            return found
        logits, hidden = self._follow([(one.sequence, one.behind) for one in rounds], wanted=True)
        going = self._taken(rounds, logits, hidden)
        for depth in range(1, max(one.count for one in rounds)):
            going = [one for one in going if one.count > depth]
            if not going:
                break
            pieces = [
                _piece(one.sequence, one.sequence.length - 2 + depth, 1, wanted=True)
                for one in going
            ]
            before = torch.stack([one.hidden for one in going])
            if self._head.normed:
                before = self._head.model.norm(before)
            logits, hidden = self._step([one.found[-1] for one in going], before, pieces)
            going = self._taken(going, logits, hidden)
        for one in rounds:
            found[one.index] = one.found
        return found

    def _taken(self, rounds: list[_Round], logits: Rows, hidden: Tensor) -> list[_Round]:
        """Give each its likeliest token; returns those that have one more."""
        for one, row, last in zip(rounds, logits, hidden, strict=True):
            token = int(row[: self._vocab_size].argmax())
            one.hidden = last
            if np.isfinite(row[token]):
                one.found.append(token)
                continue
            log.warning("draft mtp: logits are no numbers (%s)", row[token])
            assert one.sequence.guessing is not None
            one.sequence.guessing.failed = True
        return [one for one in rounds if one.sequence.guessing and not one.sequence.guessing.failed]

    def _follow(self, work: Work, *, wanted: bool) -> tuple[Rows, Tensor]:
        """Compute the next rows of each sequence. Returns the logits of the last of each, if they
        are wanted, and what it computed there."""
        tokens: list[int] = []
        rows, pieces, lasts = [], [], []
        for sequence, count in work:
            first = sequence.place.computed
            tokens += sequence.tokens[first + 1 : first + 1 + count]
            pieces.append(_piece(sequence, first, count, wanted=wanted))
            rows.append(sequence.place.take(count))
            lasts.append(len(tokens) - 1)
        hidden = self._model.model.norm(torch.cat(rows).to(self._device))
        logits, out = self._step(tokens, hidden, pieces)
        for sequence, _ in work:
            place: HeadPlace = sequence.place
            if place.first == 0:
                whole = place.computed // BLOCK_SIZE
                self._whole.update(sequence.blocks[place.whole : whole])
                place.whole = max(whole, place.whole)
        return logits, out[lasts]

    @torch.inference_mode()
    def _step(
        self, tokens: SequenceOf[int], hidden: Tensor, pieces: list[Piece]
    ) -> tuple[Rows, Tensor]:
        batch = Batch.of(pieces, self.cache)
        batch.media = MediaInput(list(range(len(tokens))), hidden)
        logits = self._head.step([min(token, self._known - 1) for token in tokens], batch)
        found = self._head.hidden
        return logits, (found if isinstance(found, Tensor) else torch.from_numpy(found)).clone()

    def ended(self, sequence: Sequence) -> None:
        pass

    def warm(self) -> None:
        try:
            self._step([0], torch.zeros(1, self._width), [(0, 1, 1, [0], [0])])
        except Exception as error:  # noqa: BLE001 - the first round of guesses tells
            log.debug("the head's first step failed: %s", error)


class _Round:
    """A sequence in one round of guesses. behind: rows that it has to compute first."""

    def __init__(self, index: int, sequence: Sequence, count: int, behind: int) -> None:
        self.index, self.sequence, self.count, self.behind = index, sequence, count, behind
        self.found: list[int] = []
        self.hidden: Any = None


def _behind(sequence: Sequence) -> int:
    """Rows up to the last token but one; 0 where one's hidden state is not here, or where forced
    tokens are still to be computed."""
    place: HeadPlace | None = sequence.place
    come = sequence.computed + sequence.again
    if place is None or sequence.length != come + 1 or place.end < come:
        return 0
    return max(0, come - place.computed)


def _piece(sequence: Sequence, first: int, count: int, *, wanted: bool) -> Piece:
    """Rows at positions `first` and on, as the head counts them."""
    place: HeadPlace = sequence.place
    blocks = sequence.blocks[place.first // BLOCK_SIZE :]
    extent = len(sequence.request.prompt) - place.first
    return first - place.first, count, extent, blocks, [count - 1] if wanted else []
