"""What a missing key of config.json means: the same to a family as to its reference.

Checkpoints leave out values equal to the reference's defaults, while a folder that the reference
saves states all. So keys with such a value are taken away from one, and nothing may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.config import DecoderConfig, read_config
from tramontane.errors import ConfigError
from tramontane.plugin import Architecture, load

from .compare import SPECIAL_IDS, NoReference, reference_class

ABOUT = ("architectures", "model_type", "transformers_version", "dtype", "torch_dtype")
"""Keys of a configuration that say nothing of the model's arithmetic."""
SIZES = ("num_key_value_heads", "head_dim")
"""Fields that follow from others; shapes of tensors refuse a wrong one."""


def wrong_defaults(offer: Architecture, reference: str = "transformers") -> dict[str, str]:
    """Fields that are read otherwise once a key with the reference's default is left out, and how.

    Raises NoReference.
    """
    module, model_class = reference_class(offer, reference)
    try:
        plain = model_class.config_class()
        whole = model_class.config_class(**{**dict.fromkeys(SPECIAL_IDS), **offer.example})
        default, stated = plain.to_dict(), whole.to_dict()
    except Exception as error:
        raise NoReference(
            f"{model_class.config_class.__name__} of {module.__name__} {module.__version__} has no "
            f"defaults to compare with: {type(error).__name__}: {error}"
        ) from error
    same = [k for k in stated if k not in ABOUT and k in default and stated[k] == default[k]]

    def without(*keys: str) -> dict[str, Any]:
        return {key: value for key, value in stated.items() if key not in keys}

    # what follows from other keys is no default, and a refusal is not silent
    same = [k for k in same if model_class.config_class(**without(k)).to_dict() == stated]
    same = [k for k in same if _fields(offer, without(k))]
    read, less = _fields(offer, stated), _fields(offer, without(*same))
    found = {}
    for name in _different(read, less):
        alone = [key for key in same if name in _different(read, _fields(offer, without(key)))]
        found[name] = (
            f"without {' or '.join(alone) or ', '.join(same)} in config.json {name} is "
            f"{less[name]!r}; to the reference it is {read[name]!r}: give the field that default, "
            "or add it to `absent` if it is inherited"
        )
    return found


def _fields(offer: Architecture, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a family reads; nothing where it refuses."""
    try:
        config = read_config(load(offer.config), values)
    except ConfigError:
        return {}
    assert isinstance(config, DecoderConfig)
    unused = SIZES if getattr(config, "use_sliding_window", True) else (*SIZES, "sliding_window")
    if not config.rotary:
        unused = (*unused, "rope_theta", "partial_rotary_factor")
    return {n: getattr(config, n) for n in type(config).model_fields if n not in unused}


def _different(stated: Mapping[str, Any], less: Mapping[str, Any]) -> list[str]:
    """Null, 0 and an empty list say the same."""
    return [n for n in less if n in stated and stated[n] != less[n] and (stated[n] or less[n])]
