"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl

KINDS = {"hqq8": 8.5, "hqq6": 6.5, "hqq5": 5.5, "hqq4": 4.5, "hqq3": 3.5, "hqq2": 2.5}
"""Bits of a weight, with a scale and a zero of 16 bits for 64 weights."""


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """Layers in safetensors as transformers 4 saved them, and hqq's own file."""
    yield Quantizer(
        name="hqq",
        translate="tramontane_quant_hqq.layers:translate",
        memory="tramontane_quant_hqq.layers:memory",
        kinds=KINDS,
        encode="tramontane_quant_hqq.encode:encode",
        settings="tramontane_quant_hqq.encode:settings",
        sample="tramontane_quant_hqq.sample:write_folder",
        decode="tramontane_quant_hqq.plain:decode",
    )
    yield Quantizer(
        name="qmodel",
        files=("qmodel.pt",),
        open="tramontane_quant_hqq.qmodel:Qmodel",
        sample="tramontane_quant_hqq.sample:write_qmodel",
        decode="tramontane_quant_hqq.plain:decode_qmodel",
    )
