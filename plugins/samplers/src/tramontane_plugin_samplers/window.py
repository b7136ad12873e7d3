"""The last tokens of a sequence, as an array that grows with it."""

from __future__ import annotations

import numpy as np
from tramontane.sampling.step import History, Ids


class Window:
    """The last `count` tokens, all if it is negative; with or without those of the prompt.

    A long context is not converted again for every token: only what is new is appended.
    """

    def __init__(self, count: int, prompt: bool = True) -> None:
        self._count, self._prompt = count, prompt
        self._tokens = np.empty(0, np.int64)
        self._length = 0
        self._read = 0

    def __call__(self, history: History) -> Ids:
        output = history.output
        rewound = len(output) < self._read or (
            self._read > 0 and output[self._read - 1] != self._tokens[self._length - 1]
        )
        if rewound or not self._length:
            self._length = self._read = 0
            if self._prompt:
                self._append(history.prompt)
        self._append(output[self._read :])
        self._read = len(output)
        start = 0 if self._count < 0 else max(0, self._length - self._count)
        return self._tokens[start : self._length]

    def _append(self, tokens: object) -> None:
        new = np.asarray(tokens, np.int64)
        length = self._length + len(new)
        if length > len(self._tokens):
            grown = np.empty(2 * length, np.int64)
            grown[: self._length] = self._tokens[: self._length]
            self._tokens = grown
        self._tokens[self._length : length] = new
        self._length = length
