"""GPTQ's layers: columns of codes, and zeros and scales for each group of inputs."""

from typing import Any

import torch
from torch import Tensor
from tramontane.errors import CheckpointError
from tramontane.layouts import Affine, pack


def translate(
    tensors: dict[str, Tensor], config: dict[str, Any], path: str, shape: tuple[int, int]
) -> Affine | None:
    """Zeros are stored minus one, except in version 2."""
    if "qweight" not in tensors:
        return None
    bits, (rows, columns) = config["bits"], shape
    scale = tensors["scales"].T.contiguous()
    group = columns // scale.shape[1]
    if not torch.equal(tensors["g_idx"], torch.arange(columns, dtype=torch.int32) // group):
        raise CheckpointError(f"{path}.g_idx: act-order is not supported")
    codes = stream(tensors["qweight"].T.contiguous(), bits)
    zeros = stream(tensors["qzeros"], bits)[:, :rows].T
    if config["checkpoint_format"] == "gptq":
        zeros = (zeros + 1) & ((1 << bits) - 1)
    planes = pack(codes, bits)
    if (zero := int(zeros[0, 0])) == int(zeros.min()) == int(zeros.max()):
        return Affine(bits, group, planes, scale, zero=zero)
    return Affine(bits, group, planes, scale.float(), minimum=-zeros * scale.float())


def stream(words: Tensor, bits: int) -> Tensor:
    """The codes of a stream of bits, lowest first."""
    raw = words.view(torch.uint8)
    each = (raw[..., None] >> torch.arange(8, dtype=torch.uint8)) & 1
    codes = each.flatten(-2).unflatten(-1, (-1, bits))
    return (codes << torch.arange(bits, dtype=torch.uint8)).sum(-1)
