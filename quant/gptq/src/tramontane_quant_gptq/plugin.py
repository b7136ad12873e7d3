"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """GPTQ's layers."""
    yield Quantizer(
        name="gptq",
        translate="tramontane_quant_gptq.layers:translate",
        memory="tramontane_quant_gptq.memory:memory",
        kinds={"gptq4": 4.125, "gptq8": 8.125},
        encode="tramontane_quant_gptq.encode:encode",
        settings="tramontane_quant_gptq.encode:settings",
        sample="tramontane_quant_gptq.sample:write_sample",
        decode="tramontane_quant_gptq.plain:decode",
    )
