"""The graph of a recorded step: values, references to them, and nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TOKENS, WANTED = 0, 1
"""Domains, the rows of a value: all tokens of the step, or those whose logits are requested."""


@dataclass(eq=False)
class Value:
    """A matrix (rows of the domain, width).

    form: "f32"; or a form that matrix products read: "int8" and "plain" in the tiles of
    `vector/tiles.py`, "bf16" in rows.
    """

    domain: int
    width: int
    form: str = "f32"
    times: int = 1
    """Vectors per row, such as one for each expert that the row is routed to."""
    spare: int = 0
    """Additional vectors to allocate."""


@dataclass(frozen=True)
class Ref:
    """Some columns of a value, or a constant: one row of float32 for all rows."""

    value: Value | None
    offset: int
    width: int
    constant: Any = None
    """A float32 array, where value is None."""


@dataclass(eq=False)
class Node:
    """An operation. `name` selects the kernel, `of` has its attributes."""

    name: str
    inputs: tuple[Ref, ...]
    output: Value | None
    of: dict[str, Any] = field(default_factory=dict)
    after: list[Node] = field(default_factory=list)
    """Operations that must run before, in addition to the producers of its inputs."""
    ahead: list[Value] = field(default_factory=list)
    """Values of later operations that it may start to write."""


class CannotRecord(Exception):
    """The model uses an operation that has no kernel. The message names it."""
