"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """gpt-oss's experts."""
    yield Quantizer(
        name="mxfp4",
        translate="tramontane_quant_mxfp4.layers:translate",
        names="tramontane_quant_mxfp4.layers:below_layers",
        sample="tramontane_quant_mxfp4.sample:write",
        decode="tramontane_quant_mxfp4.plain:decode",
    )
