"""Adapters of served models: chosen by a request, loaded and dropped while others are answered."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tramontane.errors import RequestError, TramontaneError

from .app_state import Serving
from .http.errors import ApiError
from .model_manager import Served
from .openai.fields import Sampling
from .served_adapters import ServedAdapter
from .settings import Settings

if TYPE_CHECKING:
    from tramontane.model.loaded_model import LoadedModel

log = logging.getLogger(__name__)
Body = TypeVar("Body", bound=Sampling)
NOT_ALLOWED = "this server's owner does not let requests load or unload adapters"


def with_adapter(serving: Serving, body: Body) -> Body:
    """The request, with the adapter that it names as its model. Raises ApiError 400."""
    named = serving.catalog.adapter_of(getattr(body, "model", None))
    if named is None:
        return body
    if body.adapter is not None:
        raise ApiError(
            400, f"model {named[:100]!r} is an adapter already: adapter names further ones only "
            "where model is a model's name", param="adapter", code="invalid_value",
        )  # fmt: skip
    return body.model_copy(update={"adapter": named})


async def load_adapter(
    serving: Serving, served: Served, name: str, given: str, *, again: bool
) -> None:
    """Load an adapter for a model. given: a path below the owner's folder, or a hub id. again:
    whether it may take the place of one of its name. Raises ApiError."""
    _refuse(serving.settings)
    async with serving.adapters_change, serving.catalog.lease(served.name) as (_, model):
        _refuse_taken(serving, served, name)
        source = await asyncio.to_thread(_allowed, serving.settings, given)
        await asyncio.to_thread(_load, model, served, name, source, again)
        lasting = name in served.adapters and served.adapters[name].lasting
        # one of the settings that was replaced is gone like any other if its files are
        log.info("the adapter %s was %s", name, "replaced" if lasting else "loaded")
        served.adapters[name] = ServedAdapter(source)


async def unload_adapter(serving: Serving, name: str) -> Served:
    """Forget an adapter; what is answered with it ends as it began. Raises ApiError."""
    _refuse(serving.settings)
    async with serving.adapters_change:
        if serving.catalog.adapter_of(name) is None:
            raise ApiError(
                404, f"there is no adapter {name[:100]!r} here", param="lora_name",
                code="adapter_not_found",
            )  # fmt: skip
        served = serving.catalog.find(name)
        async with serving.catalog.lease(served.name) as (_, model):
            model.adapters.unload(name)
            del served.adapters[name]
    return served


def _refuse(settings: Settings) -> None:
    if settings.adapter_folder is None and not settings.adapter_downloads:
        raise ApiError(403, NOT_ALLOWED, code="adapter_loading_not_allowed")


def _refuse_taken(serving: Serving, served: Served, name: str) -> None:
    others = [one for one, known in serving.catalog.listed() if known == name]
    if any(name in one.names or one is not served for one in others):
        raise ApiError(
            400, f"a model, or another model's adapter, is called {name[:100]!r} already",
            param="lora_name", code="invalid_value",
        )  # fmt: skip


def _allowed(settings: Settings, given: str) -> str:
    """The source that a request may name: a file's real path, or a hub id. Raises ApiError."""
    folder = settings.adapter_folder
    if folder is not None:
        root = folder.resolve()
        try:
            path = (root / given).resolve()
            if path.is_relative_to(root) and path.exists():
                return str(path)
        except (OSError, ValueError, RuntimeError):  # no path at all
            pass
    from tramontane.hub import is_hub_id

    if settings.adapter_downloads and is_hub_id(given) and not Path(given).exists():
        return given
    raise ApiError(
        404, f"there is no adapter {given[:100]!r} that this server may load", param="lora_path",
        code="adapter_not_found",
    )  # fmt: skip


def _load(model: LoadedModel, served: Served, name: str, source: str, again: bool) -> None:
    try:
        model.adapters.load(name, served.adapter_path(source), again=again, alone=True)
    except RequestError as error:
        raise ApiError(400, error.message, param="lora_name", code="invalid_value") from error
    except TramontaneError as error:
        log.error("the adapter %s cannot be loaded: %s", name, error)
        # why names files of the server's: that is for its owner
        raise ApiError(
            400, f"{name} cannot be loaded: the server's log says why", param="lora_path",
            code="adapter_not_loaded",
        ) from error  # fmt: skip
