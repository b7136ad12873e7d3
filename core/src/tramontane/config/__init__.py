"""What a model's config.json may contain: field definitions, defaults, and rotary scaling."""

from .decoder import (
    FIRST_WORDS,
    UNSUPPORTED,
    ContextLimit,
    DecoderConfig,
    LayerNormConfig,
    of_layer,
    read_config,
)
from .mamba2 import Mamba2Config

__all__ = [
    "FIRST_WORDS",
    "UNSUPPORTED",
    "ContextLimit",
    "DecoderConfig",
    "LayerNormConfig",
    "Mamba2Config",
    "of_layer",
    "read_config",
]
