"""Batches of conversations about pictures: a seed and a number is a batch."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from pictures import scene, squeezed
from sight import Batch
from talks import ROW, ROWS, talk
from tokenizers import Tokenizer
from torch.utils.data import Dataset

PICTURES = 80
"""Of a batch."""
SHORT = (64, 128, (1, 1, 1, 2))
LONG = (32, 256, (2, 3, 2, 3))
"""Of a batch: conversations, tokens of each, and the pictures of one after the other."""


class Batches(Dataset[Batch]):
    """The batches from one number on. Pictures are drawn as they are asked for, none twice."""

    def __init__(self, tokenizer: Tokenizer, seed: int, first: int, last: int, side: int) -> None:
        self.tokenizer, self.seed, self.first, self.last = tokenizer, seed, first, last
        self.side = side
        self.row = tokenizer.token_to_id(ROW)

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, place: int) -> Batch:
        number = self.first + place
        rng = Random(f"{self.seed} {number}")
        scenes = [scene(number * PICTURES + one) for one in range(PICTURES)]
        talks, most, counts = LONG if number % 5 == 4 else SHORT
        tokens, source = np.zeros((talks, most), np.int64), np.full((talks, most), -1)
        chosen, targets, picture = [], [], 0
        for line in range(talks):
            count = counts[line % 4]
            pieces = talk([one.things for one in scenes[picture : picture + count]], rng)
            ids, learnt = self.cut(pieces, most)
            tokens[line, : len(ids)] = ids
            rows = np.flatnonzero(tokens[line] == self.row)
            source[line, rows] = picture * ROWS + np.arange(len(rows))
            picture += count
            for at, yes in enumerate(learnt):
                if yes:
                    chosen.append(line * most + at - 1)
                    targets.append(ids[at])
        pixels = np.stack([squeezed(one.image, self.side) for one in scenes])
        return Batch(*(torch.from_numpy(np.asarray(each)) for each in
                       (pixels, tokens, source, chosen, targets)))  # fmt: skip

    def cut(self, pieces: list[tuple[str, bool]], most: int) -> tuple[list[int], list[bool]]:
        """Tokens, as many as there is place for, and which of them are learnt."""
        ids: list[int] = []
        learnt: list[bool] = []
        for text, yes in pieces:
            more = self.tokenizer.encode(text).ids
            ids += more
            learnt += [yes] * len(more)
            if len(ids) >= most:
                break
        return ids[:most], learnt[:most]
