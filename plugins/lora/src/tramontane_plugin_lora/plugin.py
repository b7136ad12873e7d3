"""The forms in which peft saves adapters, and of X-LoRA."""

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, hookimpl


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """A folder, or a file of one; an X-LoRA's is told by its settings, or by its classifier."""
    yield AdapterForm(
        name="peft",
        files=("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"),
        read="tramontane_plugin_lora.read:read_peft",
        sample="tramontane_plugin_lora.sample:write",
    )
    yield AdapterForm(
        name="xlora",
        files=("xlora_config.json", "xlora_classifier.safetensors"),
        read="tramontane_plugin_lora.xlora:read_xlora",
        sample="tramontane_plugin_lora.xlora_sample:write",
    )
