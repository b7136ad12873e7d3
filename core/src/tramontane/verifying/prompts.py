"""What is asked when nothing else is: short, of an odd length, and long enough that it is computed
in several steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

LONG = 321
"""Tokens of the longest prompt."""
STEP = 96
"""Tokens of a prompt that are computed at once, on the device that is verified."""
LONGEST_WINDOW = 1024
"""Windows up to this many tokens are crossed by default."""
TEXTS = (
    "The",
    "In 1969, Neil Armstrong said: \"That's one small step for [a] man\" - naïve, isn't it? "
    "x = 3.14159; 東京 Ünïcode",
)
PARAGRAPH = (
    "Chapter {}. The old lighthouse keeper counted {} ships that passed before dawn, wrote each "
    "name into his book, and went down the stairs to make tea for his guests. "
)


def long_text(letters: int) -> str:
    """At least so many letters, without repeating itself exactly."""
    text = ""
    for number in count(1):
        if len(text) >= letters:
            break
        text += PARAGRAPH.format(number, 3 * number + 1)
    return text


def plain_ids(length: int, vocabulary: int) -> list[int]:
    """Token ids for a model without a tokenizer; the same every time."""
    return [(7919 * place + 104729 * place * place + 3) % vocabulary for place in range(length)]


def longest(asked: int | None, context: int, windows: Sequence[int]) -> int:
    """Tokens of the longest prompt: as asked, else past windows that are not too long."""
    near = max((w for w in windows if w <= LONGEST_WINDOW), default=0)
    return min(context, asked or max(LONG, near + STEP // 2 + 1))
