"""The message for requests whose adapters may be why their logits cannot be drawn from."""

from __future__ import annotations

from collections.abc import Iterable


def blamed(names: Iterable[str], what: str) -> str:
    """names: of the adapters. what: is wrong with the logits."""
    *before, last = names
    several = bool(before)
    return (
        f"with the adapter{'s' * several} {', '.join([*before, last])} {what}: "
        f"{'their' if several else 'its'} numbers or weights are too large for the model; "
        "answer without, or with a smaller weight"
    )
