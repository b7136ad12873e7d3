"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """What optimum-quanto writes."""
    yield Quantizer(
        name="quanto",
        translate="tramontane_quant_quanto.layers:translate",
        names="tramontane_quant_quanto.names:of_the_model",
        memory="tramontane_quant_quanto.memory:memory",
        sample="tramontane_quant_quanto.sample:write",
        decode="tramontane_quant_quanto.plain:decode",
    )
