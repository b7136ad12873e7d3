"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """AWQ's layers."""
    yield Quantizer(
        name="awq",
        told_by=(("w_bit", "q_group_size"),),
        translate="tramontane_quant_awq.layers:translate",
        memory="tramontane_quant_awq.memory:memory",
        sample="tramontane_quant_awq.sample:write_sample",
        decode="tramontane_quant_awq.plain:decode",
    )
