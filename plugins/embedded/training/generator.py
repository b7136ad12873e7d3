"""The stream of training documents: dialogues in ChatML and a few plain texts, one seed, no end."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import TypeAlias

from dialogues.plain import plain
from dialogues.table import DRILLS, KINDS, PLAIN_SHARE, WITH_TOOLS, dialogue, drill
from dialogues.turns import Dialogue

START, END, DOCUMENT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

Piece: TypeAlias = tuple[str, bool]
"""A stretch of text and whether the model learns to say it."""


def render(talk: Dialogue) -> list[Piece]:
    """A dialogue in ChatML, cut where learning starts and stops."""
    pieces: list[Piece] = []
    for turn in talk:
        spoken = turn["role"] == "assistant"
        pieces.append((f"{START}{turn['role']}\n", False))
        pieces.append((turn["content"] + END, spoken))
        pieces.append(("\n", False))
    return pieces


def documents(seed: int, drills: int = 0, settling: bool = False) -> Iterator[list[Piece]]:
    """Documents without end, the same ones for the same seed.

    drills: how many of these come first. settling: whether they are those of a training's end.
    """
    rng = Random(seed)
    for _ in range(drills):
        yield render(drill(rng))
    while True:
        if rng.random() < PLAIN_SHARE:
            # Plain text too ends like an answer, so that a generation knows where to stop.
            yield [(plain(rng) + END, True)]
        else:
            yield render(dialogue(rng, settling))


def main() -> None:
    """Print some dialogues, of one kind or of all."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kind", choices=sorted({**DRILLS, **KINDS, **WITH_TOOLS}))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=5)
    options = parser.parse_args()
    rng = Random(options.seed)
    if options.kind:
        talks = [
            render({**DRILLS, **KINDS, **WITH_TOOLS}[options.kind][0](rng))
            for _ in range(options.n)
        ]
    else:
        talks = list(islice(documents(options.seed), options.n))
    for talk in talks:
        print("".join(text for text, _ in talk))


if __name__ == "__main__":
    main()
