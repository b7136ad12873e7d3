"""The form in which peft saves adapters."""

from collections.abc import Iterable

from tramontane.plugin import AdapterForm, hookimpl


@hookimpl
def adapters() -> Iterable[AdapterForm]:
    """Told by `adapter_config.json`."""
    yield AdapterForm(
        name="peft",
        files=("adapter_config.json",),
        read="tramontane_plugin_lora.peft:read_peft",
        sample="tramontane_plugin_lora.sample:write",
    )
