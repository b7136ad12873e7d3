"""Which quantizer reads the quantized layers of a safetensors checkpoint."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from tramontane.errors import CheckpointError, PluginBroken, PluginConflict
from tramontane.plugin import Quantizer, load
from tramontane.registry import Registry
from tramontane.sanitize import one_line
from tramontane.target_call import call
from tramontane.tokenizer.json_file import read_object

from .checkpoint import Header

BESIDE = {
    "quantize_config.json": "gptq",
    "quant_config.json": "awq",
    "quanto_qmap.json": "quanto",
    "quantization_map.json": "quanto",
}
"""Files that some tools write beside a config.json that says nothing of quantization, and the
method of those that name none."""


def quantizer_of(header: Header, registry: Registry) -> tuple[Quantizer, dict[str, Any]] | None:
    """The offer that reads a checkpoint's quantized layers, and the quantization's configuration.

    Raises CheckpointError when there is none that does, PluginError for clashes.
    """
    found = header.config.get("quantization_config") or header.config.get("quantization")
    found = found or _beside(header)
    if not isinstance(found, Mapping) or not found:
        return None
    settings = dict(found)
    if (method := settings.get("quant_method")) is not None:
        offer = registry.get(Quantizer, str(method))
        if offer.translate is None:
            raise CheckpointError(f"{header.path}: {method!r} cannot be read from safetensors")
        return offer, settings
    claims = [offer for offer in registry.all(Quantizer) if _claims(offer, settings, header)]
    if len(claims) > 1:
        names = " and ".join(repr(offer.name) for offer in claims)
        raise PluginConflict(
            f"{header.path}: the quantizers {names} both claim its quantization; uninstall one, "
            "or list the distributions to use in TRAMONTANE_PLUGINS"
        )
    if not claims:
        installed = ", ".join(registry.names("quantizers")) or "none"
        raise CheckpointError(
            f"{header.path}: its quantization names no quant_method, and no installed plugin "
            f"claims {reprlib.repr(settings)}; installed quantizers: {installed}"
        )
    return claims[0], settings


def _beside(header: Header) -> dict[str, Any] | None:
    """The configuration in a file of its own, if there is one."""
    if not header.path.is_dir():
        return None
    for name, method in BESIDE.items():
        if (path := header.path / name).exists():
            return {"quant_method": method, **read_object(path)}
    return None


def _claims(offer: Quantizer, settings: dict[str, Any], header: Header) -> bool:
    if offer.matches is None or offer.translate is None:
        return False
    try:
        return bool(call(load(offer.matches), {"config": settings}, model=dict(header.config)))
    except Exception as error:
        raise PluginBroken(
            f"the quantizer {offer.name!r}: matches={offer.matches}: {one_line(repr(error))}"
        ) from error
