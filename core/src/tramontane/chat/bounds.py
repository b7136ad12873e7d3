"""How much work a chat template may make; templates come with models and are not trusted."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jinja2.exceptions import SecurityError

LARGEST = 16 << 20
"""Characters of the rendered text, and of any text (elements of any list) on the way to it."""

STEPS = 5_000_000
"""Loop rounds, calls and outputs of one rendering; a real one needs some thousands."""

SECONDS = 10.0
"""Wall-clock time of one rendering, looked at before each step. A step itself is not interrupted,
but what it works on is bounded by LARGEST."""

BITS = 100_000
"""Size of an integer."""


TOTAL = 512 << 20
"""Characters of all texts that one rendering makes, kept or not; an element of a list counts 8."""


class Budget:
    """Steps, time and memory that a rendering has left."""

    def __init__(
        self, steps: int = STEPS, seconds: float = SECONDS, characters: int = TOTAL
    ) -> None:
        self._left = steps
        self._characters = characters
        self._seconds = seconds
        self._until = time.monotonic() + seconds

    def step(self) -> None:
        """Raises SecurityError when steps or time are used up."""
        self._left -= 1
        if self._left < 0:
            raise SecurityError("it exceeds the limit of steps of a chat template")
        if time.monotonic() > self._until:
            raise SecurityError(f"it renders for more than {self._seconds} seconds")

    def charge(self, made: Any) -> None:
        """Raises SecurityError when this text or list is more than all may have together."""
        if isinstance(made, str | bytes):
            self._characters -= len(made)
        elif isinstance(made, list | tuple | dict):
            self._characters -= 8 * len(made)
        if self._characters < 0:
            raise SecurityError(f"it makes more than {TOTAL} characters of intermediate text")


class Counted:
    """A sequence whose every element costs a step."""

    def __init__(self, items: Any, budget: Budget) -> None:
        self._items = items
        self._budget = budget

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._budget.step()
            yield item

    def __len__(self) -> int:
        return len(self._items)


PART = 8
"""What a value costs beside its characters, so that looking at many small ones stays short."""


def check(size: int) -> None:
    """Raises SecurityError for a text or list over the limit, before it is made."""
    if size > LARGEST:
        raise SecurityError(f"it makes a text or list of {size} elements, over {LARGEST}")


def written_size(value: Any) -> int:
    """About how many characters a value is when written out; for plain data only, else 1.

    Raises SecurityError once that is over the limit, as lists that hold one list many times make
    exponentially much of little memory.
    """
    total = 0
    stack = [value]
    while stack:
        part = stack.pop()
        total += PART
        if isinstance(part, str | bytes):
            total += len(part)
        elif isinstance(part, Mapping):
            check(total + len(part))
            stack.extend(part.keys())
            stack.extend(part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            check(total + len(part))
            stack.extend(part)
        check(total)
    return total


def check_operation(operator: str, left: Any, right: Any) -> None:
    """Raises SecurityError where left operator right would be too large."""
    if operator == "+":
        if _sized(left) and _sized(right):
            check(len(left) + len(right))
    elif operator == "*":
        if isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() + right.bit_length())
        for sized, times in ((left, right), (right, left)):
            if _sized(sized) and isinstance(times, int):
                check(len(sized) * times)
    elif operator == "**":
        if isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() * right)
    elif operator == "%" and isinstance(left, str | bytes):
        check_percent(left, right)


def check_percent(pattern: str | bytes, values: Any) -> None:
    """As if every place in the pattern took all values and the largest width in it."""
    text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    widths = [int(digits[:9]) for digits in re.findall(r"[0-9]+", text)]
    if "*" in text:
        widths += [abs(value) for value in _each(values) if isinstance(value, int)]
    check(len(text) + text.count("%") * (written_size(values) + max(widths, default=0)))


def check_replace(text: Any, old: Any, new: Any) -> None:
    if _sized(text) and _sized(old) and _sized(new):
        # an empty text is found between all characters
        found = text.count(old) if len(old) else len(text) + 1
        check(len(text) + found * len(new))


def check_join(separator: Any, items: Sequence[Any]) -> None:
    check(sum(map(written_size, items)) + len(items) * written_size(separator))


def check_width(values: Iterable[Any], times: int = 1) -> None:
    for value in values:
        if isinstance(value, int):
            check(value * times)
        elif isinstance(value, str | bytes):
            check(len(value) * times)


def _check_bits(bits: int) -> None:
    if bits > BITS:
        raise SecurityError(f"it makes an integer of {bits} bits, over {BITS}")


def _each(values: Any) -> Iterable[Any]:
    if isinstance(values, Mapping):
        return list(values.values())
    return values if isinstance(values, list | tuple) else [values]


def _sized(value: Any) -> bool:
    return isinstance(value, str | bytes | list | tuple)
