"""The form of X-LoRA: several adapters with a classifier."""

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, hookimpl


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """A folder with the classifier in a file of its own; peft's are told by their settings."""
    yield AdapterForm(
        name="xlora",
        files=("xlora_config.json", "xlora_classifier.safetensors"),
        read="tramontane_plugin_lora.xlora:read_xlora",
        sample="tramontane_plugin_lora.xlora_sample:write",
    )
