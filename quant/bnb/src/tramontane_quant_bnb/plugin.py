"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """The layers of bitsandbytes."""
    yield Quantizer(
        name="bitsandbytes",
        told_by=(("load_in_8bit",), ("load_in_4bit",)),
        translate="tramontane_quant_bnb.layers:translate",
        memory="tramontane_quant_bnb.memory:memory",
        kinds={"nf4": 4.5, "nf4-double": 4.5, "fp4": 4.5, "fp4-double": 4.5, "int8": 8.0},
        encode="tramontane_quant_bnb.encode:encode",
        settings="tramontane_quant_bnb.encode:settings",
        sample="tramontane_quant_bnb.sample:write_sample",
        decode="tramontane_quant_bnb.plain:decode",
    )
