"""The form in which peft saves adapters."""

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, hookimpl


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """A folder, or a file of one."""
    yield AdapterForm(
        name="peft",
        files=("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"),
        read="tramontane_plugin_lora.read:read_peft",
        sample="tramontane_plugin_lora.sample:write",
    )
