"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """Layers of ExLlamaV3 and gptqmodel in safetensors."""
    yield Quantizer(
        name="exl3",
        translate="tramontane_quant_exl3.layers:translate",
        memory="tramontane_quant_exl3.layers:memory",
        sample="tramontane_quant_exl3.sample:write_sample",
        decode="tramontane_quant_exl3.plain:decode",
    )
