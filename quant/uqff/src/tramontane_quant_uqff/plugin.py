"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """The UQFF container, which is safetensors: only its name tells it."""
    yield Quantizer(
        name="uqff",
        files=("*.uqff",),
        open="tramontane_quant_uqff.container:Uqff",
        sample="tramontane_quant_uqff.sample:write_sample",
        decode="tramontane_quant_uqff.plain:decode",
    )
