"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl

KINDS = {
    "q2_k": 3.125, "q3_k": 3.5625, "q4_0": 4.5, "q4_1": 5.0, "q4_k": 4.625, "iq4_nl": 4.5,
    "iq4_xs": 4.3125, "q5_0": 5.5, "q5_1": 6.0, "q5_k": 5.625, "q6_k": 6.5625, "q8_0": 8.5,
}  # fmt: skip


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """The GGUF container."""
    yield Quantizer(
        name="gguf",
        magic=b"GGUF",
        open="tramontane_quant_gguf.container:open_gguf",
        kinds=KINDS,
        quantize="tramontane_quant_gguf.encode.encode:quantize",
        sample="tramontane_quant_gguf.sample:write_sample",
        decode="tramontane_quant_gguf.plain:decode",
    )
