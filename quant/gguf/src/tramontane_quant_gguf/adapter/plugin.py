"""The form in which llama.cpp's converter writes adapters."""

from __future__ import annotations

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, hookimpl


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """GGUF files whose `general.type` is adapter."""
    yield AdapterForm(
        name="gguf",
        files=("*.gguf",),
        read="tramontane_quant_gguf.adapter.read:read_adapter",
        sample="tramontane_quant_gguf.adapter.sample:write",
    )
