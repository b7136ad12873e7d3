"""What kernels are told of the card that they run on."""

from __future__ import annotations

from dataclasses import dataclass

from .triton_here import interpreted

OLDEST = (8, 0)
"""Below this compute capability Triton has no matrix instructions; torch does the products."""


@dataclass(frozen=True)
class Card:
    """capability: of NVIDIA's cards; (0, 0) for others, and for the interpreter. is_one: False for
    the CPU, interpreted or not."""

    capability: tuple[int, int] = (0, 0)
    interpreted: bool = False
    is_one: bool = True

    @property
    def few(self) -> int:
        """Rows of a tile of few."""
        return 16

    @property
    def many(self) -> int:
        """Rows of a tile of many. From 64 on, cards of capability 9 and 10 would use instructions
        of another shape than for few, and a row's bits would depend on its company."""
        return 32 if self.capability[0] in (9, 10, 11) else 64

    @property
    def wide(self) -> int:
        """Most columns of a tile of results."""
        return 512 if self.interpreted else 64

    @property
    def deep(self) -> int:
        """Columns of factors that are added at once."""
        return 256 if self.interpreted else 64


def card_of(torch_device: str) -> Card:
    """The card of a torch device such as "cuda:0"."""
    import torch

    if torch_device == "cpu":
        return Card(interpreted=interpreted(), is_one=False)
    if torch_device.startswith("cuda") and torch.version.hip is None:
        return Card(torch.cuda.get_device_capability(torch_device))
    return Card()
