"""States of sequences: what recurrent layers keep of all tokens so far, instead of keys and values.

A sequence that runs has a slot, which holds its states in all layers. Slots that no sequence needs
hold snapshots: copies of states after a number of whole cache blocks, found by the digest of these
blocks. A prefix is reused up to the last snapshot, since states cannot be cut back.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from tramontane.errors import NotEnoughMemory

FEWEST = 4
"""Slots that the memory plan counts, and that there are at least."""
PADDING = 16
"""Padding elements after a tensor's last one, which vector kernels may read."""


class Copies(Protocol):
    """What is told of copies within a cache."""

    def copy(self, source: int, target: int) -> None: ...


class StateCache:
    """Slots 0 to `count` - 1 for the states of a model's layers; false where it has none.

    A sequence that begins at position 0 begins with zeros, whatever its slot holds: see
    `tramontane.reference`.
    """

    def __init__(
        self,
        model: nn.Module,
        count: int,
        device: torch.device,
        devices: Mapping[int, torch.device] | None = None,
    ) -> None:
        """devices: of layers by their index, if others than `device`."""
        at = devices or {}
        self.shapes = state_shapes(model)
        self.count = count if self.shapes else 0
        self._layers: dict[int, dict[str, Tensor]] = {
            index: {
                name: _slots(self.count, shape, at.get(index, device))
                for name, shape in shapes.items()
            }
            for index, shapes in self.shapes.items()
        }
        self._tensors = [each for layer in self._layers.values() for each in layer.values()]
        # a stack: recently released slots are reused first, so that little memory is ever touched
        self._free = list(range(self.count - 1, -1, -1))
        self._by_digest: OrderedDict[bytes, int] = OrderedDict()
        """Snapshots, the least recently used first."""
        self.mirrors: list[Copies] = []
        """Caches with other states of the same slots: what is copied here is there too."""

    def __bool__(self) -> bool:
        return bool(self.shapes)

    def __getitem__(self, index: int) -> Mapping[str, Tensor]:
        """A layer's states by name, (slots, *shape) float32 each."""
        return self._layers[index]

    @property
    def snapshots(self) -> int:
        """Number of slots that hold snapshots."""
        return len(self._by_digest)

    @property
    def available(self) -> bool:
        """Whether a sequence can have a slot; snapshots give way."""
        return not self or bool(self._free or self._by_digest)

    def take(self, digest: bytes | None = None) -> int:
        """A slot for a sequence; digest: of the snapshot that it goes on from.

        Raises NotEnoughMemory if sequences hold all slots.
        """
        if not self:
            return 0
        if digest is not None:
            self._by_digest.move_to_end(digest)
        if not self._free:
            if not self._by_digest:
                raise NotEnoughMemory(f"all {self.count} slots for states are in use")
            oldest, slot = self._by_digest.popitem(last=False)
            if oldest == digest:
                return slot
            self._free.append(slot)
        slot = self._free.pop()
        if digest is not None:
            try:
                self.copy(self._by_digest[digest], slot)
            except Exception:
                self._free.append(slot)
                raise
        return slot

    def give_back(self, slot: int) -> None:
        """Release the slot of a sequence that has ended."""
        if self:
            self._free.append(slot)

    def copy(self, source: int, target: int) -> None:
        """Copy the states of a slot to another."""
        for tensor in self._tensors:
            tensor[target] = tensor[source]
        for mirror in self.mirrors:
            mirror.copy(source, target)

    def keep(self, digest: bytes, slot: int, instead_of: bytes | None = None) -> None:
        """Make a snapshot of a slot, if there is room; instead_of: one that it replaces."""
        if digest in self._by_digest:
            self._by_digest.move_to_end(digest)
            return
        if instead_of is not None and instead_of in self._by_digest:
            target = self._by_digest.pop(instead_of)
        elif self._free:
            target = self._free.pop()
        elif self._by_digest:
            target = self._by_digest.popitem(last=False)[1]
        else:
            return
        self.copy(slot, target)
        self._by_digest[digest] = target

    def restore(self, digest: bytes, slot: int) -> None:
        """Copy the snapshot with this digest to a slot."""
        self._by_digest.move_to_end(digest)
        self.copy(self._by_digest[digest], slot)

    def forget(self, digests: Sequence[bytes]) -> None:
        """Drop snapshots, because their content may be wrong."""
        for digest in digests:
            if digest in self._by_digest:
                self._free.append(self._by_digest.pop(digest))

    def usable(self, digests: Sequence[bytes], most: int) -> int:
        """How many of the first `most` blocks with these digests a sequence can continue from."""
        while most and digests[most - 1] not in self._by_digest:
            most -= 1
        return most

    def take_out(self, slot: int) -> tuple[Tensor, ...]:
        """Copies of a slot's states, of all layers, on the CPU."""
        return tuple(tensor[slot].clone().cpu() for tensor in self._tensors)

    def take_out_snapshot(self, digest: bytes) -> tuple[Tensor, ...] | None:
        """The same of a snapshot; None if there is none."""
        slot = self._by_digest.get(digest)
        return None if slot is None else self.take_out(slot)

    def put_back(self, slot: int, states: Sequence[Tensor]) -> None:
        """Write to a slot what `take_out` returned. Raises ValueError if it does not fit."""
        for tensor, state in zip(self._tensors, states, strict=True):
            tensor[slot] = state.to(tensor.device)


def _slots(count: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    # empty, not zeros: the system allocates memory pages when they are first written
    size = count * math.prod(shape)
    return torch.empty(size + PADDING, dtype=torch.float32, device=device)[:size].view(
        count, *shape
    )


def state_shapes(model: nn.Module) -> dict[int, dict[str, tuple[int, ...]]]:
    """Shapes of the states of each layer that has any, by its index and their names.

    A module that keeps states has `index`, its layer's number, and `states`: shapes by name. Raises
    ValueError if two modules of a layer use one name.
    """
    found: dict[int, dict[str, tuple[int, ...]]] = {}
    for module in model.modules():
        states = getattr(module, "states", None)
        if not isinstance(states, Mapping):
            continue
        layer = found.setdefault(module.index, {})  # type: ignore[arg-type]
        for name, shape in states.items():
            if name in layer:
                raise ValueError(f"two modules of layer {module.index} keep a state {name!r}")
            layer[name] = tuple(shape)
    return dict(sorted(found.items()))


def bytes_per_sequence(model: nn.Module) -> int:
    """Bytes of the states of one sequence, all layers together."""
    shapes = (shape for layer in state_shapes(model).values() for shape in layer.values())
    return 4 * sum(math.prod(shape) for shape in shapes)
