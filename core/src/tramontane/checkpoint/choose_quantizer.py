"""Which quantizer reads the quantized layers of a safetensors checkpoint."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tramontane.errors import CheckpointError, PluginBroken, PluginConflict
from tramontane.plugin import Quantizer, load
from tramontane.registry import Registry, known, known_lists
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
        raise CheckpointError(
            f"{header.path}: its quantization names no quant_method, and no installed plugin "
            f"claims {reprlib.repr(settings)}; {_what_to_install(settings, registry)}"
        )
    return claims[0], settings


def told(config: Mapping[str, Any], told_by: Iterable[Sequence[str]]) -> bool:
    """Whether a configuration has the keys that a `Quantizer.told_by` lists."""
    return any(all(_has(config, key) != key.startswith("!") for key in keys) for keys in told_by)


def _has(config: Mapping[str, Any], key: str) -> bool:
    """Whether a key is there; one that is wanted is not false."""
    if key.startswith("!"):
        return key[1:] in config
    return config.get(key, False) is not False


def _what_to_install(settings: Mapping[str, Any], registry: Registry) -> str:
    installed = registry.names("quantizers")
    named, ours = known_lists("told_by"), known("quantizers")
    found = {ours[name] for name, keys in named.items() if told(settings, keys)}
    found -= {ours[name] for name in installed if name in ours}
    if found:
        return f"to read it: pip install {' or '.join(sorted(found))}"
    return f"installed quantizers: {', '.join(installed) or 'none'}"


def _beside(header: Header) -> dict[str, Any] | None:
    """The configuration in a file of its own, if there is one."""
    if not header.path.is_dir():
        return None
    for name, method in BESIDE.items():
        if (path := header.path / name).exists():
            return {"quant_method": method, **read_object(path)}
    return None


def _claims(offer: Quantizer, settings: dict[str, Any], header: Header) -> bool:
    if offer.translate is None:
        return False
    if told(settings, offer.told_by):
        return True
    if offer.matches is None:
        return False
    try:
        return bool(call(load(offer.matches), {"config": settings}, model=dict(header.config)))
    except Exception as error:
        raise PluginBroken(
            f"the quantizer {offer.name!r}: matches={offer.matches}: {one_line(repr(error))}"
        ) from error
