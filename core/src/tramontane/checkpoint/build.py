"""Building: the model that a checkpoint is of, with its shapes, and the place of each tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from tramontane.blocks import CausalLM
from tramontane.config import DecoderConfig, read_config
from tramontane.config.rope_settings import overridden
from tramontane.errors import CheckpointError, ConfigError
from tramontane.plugin import Architecture, load
from tramontane.registry import Registry

from .checkpoint import Checkpoint, Header
from .choose_quantizer import quantizer_of
from .fill import assign, rules_of
from .metadata import fields_of
from .quantized_layers import QuantizedCheckpoint
from .weight_map import Slot, Source


@dataclass(frozen=True)
class Built:
    """A model on the meta device. checkpoint: in which quantized layers read as one matrix each.
    wanted: the model's places; sources: the tensors of each; ties: places that share another's
    weight. quantizer: the target that reads its quantized layers."""

    checkpoint: Checkpoint
    architecture: Architecture
    config: DecoderConfig
    model: CausalLM
    wanted: Mapping[str, Slot]
    sources: Mapping[str, Source]
    ties: Mapping[str, str]
    quantizer: str | None = None


def build_for(
    checkpoint: Checkpoint, registry: Registry, overrides: Mapping[str, Any] | None = None
) -> Built:
    """overrides: values of the configuration to replace. Reads no weight.

    Raises CheckpointError where tensors do not fit exactly, and PluginError.
    """
    header = checkpoint.header
    quantizer = quantizer_of(header, registry)
    architecture = registry.get(Architecture, header.architecture)
    values = overridden(fields_of(architecture, header), overrides or {})
    config = config_of(architecture, header, values)
    refuse_absurd_depth(header, config)
    model = build(architecture, config)
    if quantizer is not None:
        rules = rules_of(architecture, config, header.dialect)
        checkpoint = QuantizedCheckpoint(checkpoint, *quantizer, model, rules)
    wanted, sources, ties = assign(checkpoint, model, config, architecture)
    target = None if quantizer is None else quantizer[0].translate
    return Built(checkpoint, architecture, config, model, wanted, sources, ties, target)


def config_of(
    architecture: Architecture, header: Header, values: Mapping[str, Any]
) -> DecoderConfig:
    """Validate what a checkpoint says. Raises ConfigError, which names the checkpoint too."""
    try:
        return cast("DecoderConfig", read_config(load(architecture.config), values))
    except ConfigError as error:
        raise ConfigError(f"{header.path}: {architecture.name}: {error}") from error


def refuse_absurd_depth(header: Header, config: DecoderConfig) -> None:
    """Layers may share their weights, but thousands of layers do not come from a few tensors."""
    layers = getattr(config, "num_hidden_layers", 0)
    if layers > 64 + len(header.tensors):
        raise CheckpointError(
            f"{header.path}: num_hidden_layers={layers} cannot be, with "
            f"{len(header.tensors)} tensors in all"
        )


def build(architecture: Architecture, config: DecoderConfig) -> CausalLM:
    """The model with its shapes and no weights."""
    with torch.device("meta"):
        model: CausalLM = load(architecture.model)(config)
    return model.eval()
