"""What is told of a loaded model to what reads adapters of other sorts than changes of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from tramontane.config import DecoderConfig
from tramontane.plugin import Architecture
from tramontane.registry import Registry

from .adapter import Adapter
from .kernels import Multiply
from .prompted import Bind


@dataclass(frozen=True)
class Host:
    """A loaded model, for what reads adapters that are more than changes of its weights.

    kernels: the model's own, by the paths of its modules. multiply, bind: of its backend. fit: a
    stored adapter's name and source to what fits the model.
    """

    model: nn.Module
    architecture: Architecture
    config: DecoderConfig
    registry: Registry
    kernels: Mapping[str, Callable[..., Any]]
    multiply: Multiply
    bind: Bind
    fit: Callable[..., Adapter]
