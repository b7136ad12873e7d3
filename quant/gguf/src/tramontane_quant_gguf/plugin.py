"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """The GGUF container."""
    yield Quantizer(
        name="gguf",
        magic=b"GGUF",
        open="tramontane_quant_gguf.container:open_gguf",
        sample="tramontane_quant_gguf.sample:write_sample",
        decode="tramontane_quant_gguf.plain:decode",
    )
