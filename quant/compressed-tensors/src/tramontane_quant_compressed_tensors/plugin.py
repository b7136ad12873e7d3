"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """What llm-compressor and compressed-tensors write."""
    yield Quantizer(
        name="compressed-tensors",
        translate="tramontane_quant_compressed_tensors.layers:translate",
        names="tramontane_quant_compressed_tensors.names:below_layers",
        memory="tramontane_quant_compressed_tensors.memory:memory",
        kinds={"w4a16": 4.125, "w8a16": 8.01, "mxfp4": 4.25, "nvfp4": 4.51, "mxfp8": 8.25},
        encode="tramontane_quant_compressed_tensors.encode:encode",
        settings="tramontane_quant_compressed_tensors.encode:settings",
        sample="tramontane_quant_compressed_tensors.sample:write",
        decode="tramontane_quant_compressed_tensors.plain:decode",
    )
