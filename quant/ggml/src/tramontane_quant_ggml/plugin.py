"""What this distribution offers."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, Quantizer, hookimpl

MAGIC = {"ggml": b"lmgg", "ggmf": b"fmgg", "ggjt": b"tjgg"}
"""First bytes of each container: its name as a little-endian number."""


@hookimpl
def quantizers() -> Iterable[Quantizer]:
    """The containers before GGUF."""
    for name, magic in MAGIC.items():
        yield Quantizer(
            name=name,
            magic=magic,
            open="tramontane_quant_ggml.container:open_ggml",
            sample=f"tramontane_quant_ggml.sample:write_{name}",
            decode="tramontane_quant_ggml.plain:decode",
        )


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """LoRA adapters of 2023, by the name that their converter gave them."""
    yield AdapterForm(
        name="ggla",
        files=("ggml-adapter-model*.bin", "*.ggla"),
        read="tramontane_quant_ggml.adapter:read_adapter",
        sample="tramontane_quant_ggml.adapter_sample:write",
    )
