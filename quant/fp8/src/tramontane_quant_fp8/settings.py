"""Settings of a quantization configuration, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.errors import CheckpointError


def block_size(config: Mapping[str, Any], path: str) -> tuple[int, int] | None:
    """Rows and columns of a block; None where scales are of rows or matrices. Raises
    CheckpointError."""
    block = config.get("weight_block_size")
    if block is None:
        return None
    if (
        not isinstance(block, list | tuple)
        or len(block) != 2
        or not all(isinstance(size, int) and size > 0 for size in block)
    ):
        raise CheckpointError(
            f"{path}: weight_block_size={block!r} must be two numbers of rows and columns, "
            "such as [128, 128]"
        )
    return (block[0], block[1])
