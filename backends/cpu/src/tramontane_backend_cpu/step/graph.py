"""What a recorded step consists of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

JOINT = "joint"
"""The name of operations that several ranks do together, between kernels."""
TOKENS, WANTED = 0, 1
"""Whose rows a value has: all tokens of the step, or those whose logits are asked for."""


@dataclass(eq=False)
class Value:
    """A matrix with a row for each token, or for each wanted one.

    form: "f32"; or what matrices want to read: "int8" and "plain" in the tiles of
    `vector/tiles.py`, "bf16" in rows.
    """

    domain: int
    width: int
    form: str = "f32"
    times: int = 1
    """Vectors of each row, such as one for each expert that it goes to."""
    spare: int = 0
    """More vectors that there must be room for."""


@dataclass(frozen=True)
class Ref:
    """Some columns of a value, or a constant: one row of float32 that is the same for all."""

    value: Value | None
    offset: int
    width: int
    constant: Any = None
    """A float32 array, where value is None."""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a value."""
        return self.value is not None and (self.offset, self.width) == (0, self.value.width)


@dataclass(eq=False)
class Node:
    """One operation. `name` says which kernel, `of` what else it needs to know."""

    name: str
    inputs: tuple[Ref, ...]
    output: Value | None
    of: dict[str, Any] = field(default_factory=dict)
    after: list[Node] = field(default_factory=list)
    """What must be done before, though no input says so."""
    ahead: list[Value] = field(default_factory=list)
    """What it may begin to write for an operation that comes after it."""


def copied(nodes: Sequence[Node]) -> list[Node]:
    """Operations that may be changed without changing these; their values are the same."""
    found = [
        Node(each.name, each.inputs, each.output, dict(each.of), ahead=list(each.ahead))
        for each in nodes
    ]
    places = {id(each): index for index, each in enumerate(nodes)}
    for each, mine in zip(nodes, found, strict=True):
        mine.after = [found[places[id(other)]] for other in each.after]
    return found


class CannotRecord(Exception):
    """The model does something that has no kernel. Names the operation."""


class NoKernel(CannotRecord):
    """It is a torch operation of the model's own, which its author can replace: see
    `torch_ops.TABLE`."""


class Recorder(Protocol):
    """What notes the operations of a step; see `record.Recording`."""

    wanted: Tensor
    """The rows whose logits are requested."""

    def ref(self, tensor: Any) -> Ref:
        """Where a tensor's numbers are."""

    def knows(self, tensor: Any) -> bool:
        """Whether the step computes this tensor."""

    def is_last(self, tensor: Tensor) -> bool:
        """Whether the last node computes it, and no other tensor has its numbers."""

    def keep(self, tensor: Tensor, ref: Ref) -> Tensor:
        """Remember where a tensor's numbers are."""

    def note(
        self, name: str, inputs: tuple[Any, ...], shape: tuple[int, ...], domain: int | None = None,
        **of: Any,
    ) -> Tensor:  # fmt: skip
        """Add a node whose result has `shape` after its rows."""
