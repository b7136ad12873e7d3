"""The adapters that a served model has, loaded with it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tramontane.errors import TramontaneError, UsageError

from .model_settings import ModelSettings

if TYPE_CHECKING:
    from tramontane.tasks.opening import Opened

log = logging.getLogger(__name__)


class ServedAdapter(NamedTuple):
    """Where an adapter was read from, and what it counts. lasting: it is one of the settings; the
    others were loaded by requests."""

    source: str
    weight: float = 1.0
    lasting: bool = False


def adapter_path(settings: ModelSettings, source: str) -> Path:
    """Where an adapter is, once it is downloaded if need be. Raises TramontaneError."""
    from tramontane.hub.options import HubOptions
    from tramontane.model.source import find_adapter

    return find_adapter(
        source, HubOptions(token_source=settings.token_source, cache_dir=settings.hf_cache)
    )


def load_adapters(
    model: Opened, settings: ModelSettings, name: str, adapters: dict[str, ServedAdapter]
) -> None:
    """Load those of a model that is open. name: the model's. Raises TramontaneError; adapters that
    requests had loaded and that are not to be had any longer are dropped."""
    from tramontane.adapters.stored_mixture import MixtureOptions

    if model.task_only:
        if adapters:
            raise UsageError(f"adapters are for models that write text, and {name} is not one")
        return
    text: Any = model
    mixing = MixtureOptions(settings.xlora_order, settings.tgt_non_granular_index)
    for each, (source, weight, lasting) in list(adapters.items()):
        try:
            text.adapters.load(
                each, adapter_path(settings, source), weight, alone=not lasting,
                mixing=mixing if lasting else None,
            )  # fmt: skip
        except TramontaneError as error:
            if lasting:
                raise
            log.error("the adapter %s cannot be loaded again: %s", each, error)
            adapters.pop(each, None)
    text.adapters.refuse_unused(**settings.mixing)
