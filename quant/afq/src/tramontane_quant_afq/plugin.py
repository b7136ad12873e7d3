"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl

KINDS = {
    "afq2": 2.5, "afq3": 3.5, "afq4": 4.5, "afq5": 5.5, "afq6": 6.5, "afq8": 8.5,
    "mxfp4": 4.25, "nvfp4": 4.5, "mxfp8": 8.25,
}  # fmt: skip
"""Bits of a weight, with scales and offsets of 16 bits for 64 weights, or of 8 for 32 or 16."""

NOT_OURS = ("!desc_act", "!sym", "!zero_point", "!w_bit", "!checkpoint_format", "!true_sequential")
"""Words of other formats that have bits and a group size, too."""


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """MLX's folders, which name no method; `afq` and `mlx` for those that do, `metal` as
    transformers has it."""
    yield Quantizer(
        name="afq",
        aliases=("mlx", "metal"),
        told_by=(("bits", "group_size", *NOT_OURS),),
        translate="tramontane_quant_afq.layers:translate",
        memory="tramontane_quant_afq.layers:memory",
        kinds=KINDS,
        encode="tramontane_quant_afq.encode:encode",
        settings="tramontane_quant_afq.encode:settings",
        sample="tramontane_quant_afq.sample:write_sample",
        decode="tramontane_quant_afq.plain:decode",
    )
