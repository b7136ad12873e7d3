"""The message for requests whose adapters may be why their logits cannot be drawn from."""

from __future__ import annotations

from collections.abc import Sequence


def blamed(names: Sequence[str], what: str) -> str:
    """names: of the adapters. what: is wrong with the logits."""
    several = len(names) > 1
    return (
        f"with the adapter{'s' * several} {', '.join(names)} {what}: "
        f"{'their' if several else 'its'} numbers or weights are too large for the model; "
        "answer without, or with a smaller weight"
    )
