"""GPTQ without act-order, as a third party would add it."""

from collections.abc import Iterator

from tramontane.plugin import Quantizer, hookimpl


@hookimpl
def quantizers() -> Iterator[Quantizer]:
    yield Quantizer(name="gptq", translate="acme_gptq.layers:translate")
