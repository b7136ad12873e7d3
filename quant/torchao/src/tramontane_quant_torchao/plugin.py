"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """What torchao and transformers write as safetensors."""
    yield Quantizer(
        name="torchao",
        translate="tramontane_quant_torchao.layers:translate",
        names="tramontane_quant_torchao.names:below_layers",
        memory="tramontane_quant_torchao.memory:memory",
        sample="tramontane_quant_torchao.sample:write",
        decode="tramontane_quant_torchao.plain:decode",
    )
