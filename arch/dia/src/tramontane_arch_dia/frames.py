"""Making frames: the loop of the decoder, with and without the text in one batch."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tramontane.engine.batch import Batch, MediaInput
from tramontane.engine.cross_rows import CrossRows, ItemCache, ItemRows
from tramontane.engine.kv_cache import BLOCK_SIZE, KVCache

from .choose import Choosing, draw, scores
from .config import DiaConfig
from .model import Dia, text_ids

Codes = npt.NDArray[np.int64]
PREFILL = 512
"""Rows of a step, at most, while prompts are read."""


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """What is to be spoken. text: with speakers' tags. prompt: (frames, channels) codes of a voice,
    whose transcript `text` begins with; none: the model's own choice. most: frames that are made at
    most. seed: of the draws."""

    text: str
    prompt: Codes | None = None
    most: int = 3072
    seed: int = 0
    how: Choosing = field(default_factory=Choosing)


class Speech:
    """A speech that is being made: rows of codes as the decoder reads them, each channel later by
    its delay."""

    def __init__(self, asked: Spoken, cfg: DiaConfig) -> None:
        self.asked, self.cfg = asked, cfg
        self.random = np.random.default_rng(asked.seed)
        self.first = first = 1 if asked.prompt is None else 1 + len(asked.prompt)
        room = cfg.max_position_embeddings - first - cfg.most_delay - 1
        self.last = first + min(asked.most, room)
        """The row in which the first channel ends, at the latest."""
        self.end: int | None = None
        """The row in which it does."""
        told = np.full((first + cfg.most_delay, cfg.num_channels), -1, np.int64)
        whole = np.full((first, cfg.num_channels), cfg.bos_token_id, np.int64)
        if asked.prompt is not None:
            whole[1:] = asked.prompt
        for channel, delay in enumerate(cfg.delay_pattern):
            told[:delay, channel] = cfg.bos_token_id
            told[delay : delay + first, channel] = whole[:, channel]
        self._told = told
        """Codes that are known before: of the prompt, and what stands before it; -1: none."""
        self.rows: list[Codes] = list(told[:first])
        self.read = 0
        """Rows that the decoder has read."""
        self.fresh = False
        """Whether a step has given it something since it was last looked at."""
        self.with_text: ItemRows | None = None
        self.blocks: list[list[int]] = []

    @property
    def done(self) -> bool:
        return self.end is not None and len(self.rows) > self.end + self.cfg.most_delay

    @property
    def guided(self) -> bool:
        return self.asked.how.guidance > 1

    def add(self, logits: npt.NDArray[np.float32], plain: npt.NDArray[np.float32] | None) -> None:
        """The next row, by logits (channels, codes) with the text, and without."""
        cfg, row = self.cfg, len(self.rows)
        found = scores(logits, plain, self.asked.how, cfg)
        codes = draw(found, self.asked.how, self.random)
        if self.end is None and (codes[0] == cfg.eos_token_id or row == self.last):
            self.end = row
        if self.end is not None:
            since = row - self.end
            for channel, delay in enumerate(cfg.delay_pattern):
                if since >= delay:
                    codes[channel] = cfg.eos_token_id if since == delay else cfg.pad_token_id
        if row < len(self._told):
            codes = np.where(self._told[row] >= 0, self._told[row], codes)
        self.rows.append(codes)

    def ready(self) -> int:
        """Frames whose codes are all there."""
        whole = len(self.rows) - self.cfg.most_delay - self.first
        return max(0, whole if self.end is None else min(whole, self.end - self.first))

    def codes(self, start: int, stop: int) -> Codes:
        """Frames from the first that was made, (stop - start, channels)."""
        rows, first = self.rows, self.first
        return np.stack(
            [
                np.array([rows[first + at + delay][channel] for at in range(start, stop)], np.int64)
                for channel, delay in enumerate(self.cfg.delay_pattern)
            ],
            1,
        )


class FrameLoop:
    """Steps of several speeches at once. A row's numbers do not depend on what others are there, so
    neither do the codes.

    most: speeches at the same time.
    """

    def __init__(self, model: Dia, kv_dtype: torch.dtype, device: torch.device, most: int) -> None:
        self.cfg, self.device = model.cfg, device
        self._encoder, self._decoder = model.encoder, model.decoder
        rows = -(-self.cfg.max_position_embeddings // BLOCK_SIZE)
        self.cache = KVCache(self._decoder, 2 * most * rows, kv_dtype, device, remember=False)
        texts = -(-self.cfg.encoder_config.max_position_embeddings // BLOCK_SIZE)
        self.items = ItemCache(self._decoder, most * texts + 1, kv_dtype, device)
        self.cache.items = self.items
        self._no_text: ItemRows | None = None

    def begin(self, asked: Spoken) -> Generator[None, None, Speech]:
        """Encode a speech's text, with places where it may be interrupted. Raises NotEnoughMemory
        where too many are being made."""
        if self._no_text is None:
            # bytes that are all 0 become equal rows, however many, and these one row's values
            rows = yield from self._encoder.parts(self._ids([0]))
            if self._no_text is None:  # another may have begun meanwhile
                self._no_text = self.items.put(rows)
        rows = yield from self._encoder.parts(self._ids(text_ids(asked.text)))
        speech = Speech(asked, self.cfg)
        speech.with_text = self.items.put(rows)
        speech.blocks = [[], []] if speech.guided else [[]]
        return speech

    def drop(self, speech: Speech) -> None:
        """Let go of what a speech holds."""
        for blocks in speech.blocks:
            self.cache.give_back(blocks)
        speech.blocks = []
        if speech.with_text is not None:
            self.items.drop(speech.with_text)
            speech.with_text = None

    def step(self, speeches: Sequence[Speech]) -> None:
        """Give each speech a row, or read more of its prompt."""
        pieces, cross, codes = [], [], []
        finished: list[tuple[Speech, bool]] = []
        for speech in speeches:
            start, known = speech.read, len(speech.rows)
            count = min(known - start, PREFILL)
            wanted = [count - 1] if start + count == known else []
            finished.append((speech, bool(wanted)))
            both = (speech.with_text, self._no_text)
            for blocks, item in zip(speech.blocks, both, strict=False):
                more = -(-(start + count) // BLOCK_SIZE) - len(blocks)
                if more > 0:
                    blocks += self.cache.take(more)
                pieces.append((start, count, start + count, blocks, wanted))
                assert item is not None
                cross.append((count, item))
                codes += speech.rows[start : start + count]
            speech.read, speech.fresh = start + count, True
        batch = Batch.of(pieces, self.cache)
        x = self._decoder.vectors(torch.from_numpy(np.stack(codes)).to(self.device))
        batch.media = MediaInput(list(range(len(codes))), x)
        batch.cross = CrossRows(self.items, cross)
        logits = self._decoder.step([0] * len(codes), batch)
        at = 0
        for speech, made in finished:
            if made:
                found = logits[at : at + len(speech.blocks)]
                found = found.reshape(len(found), self.cfg.num_channels, -1)
                speech.add(found[0], found[1] if len(found) > 1 else None)
                at += len(found)

    def _ids(self, ids: Sequence[int]) -> Tensor:
        return torch.tensor(list(ids), dtype=torch.int64, device=self.device)
