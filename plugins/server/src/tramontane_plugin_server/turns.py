"""From a conversation with its tools to the engine's requests, the same for every API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tramontane.toolbox import Toolbox
from tramontane.turn import Turn

from .serving import Serving

if TYPE_CHECKING:
    from tramontane.engine.request import Request
    from tramontane.loaded_model import LoadedModel
    from tramontane.sampling_params import SamplingParams


async def begin(
    serving: Serving,
    model: LoadedModel,
    messages: Sequence[Mapping[str, Any]],
    params: SamplingParams,
    toolbox: Toolbox,
    variables: Mapping[str, Any],
    place: Mapping[str, Any],
) -> tuple[Turn, list[Request]]:
    """The turn, which has a parser for each answer, and the requests to submit.

    variables: of the chat template. place: fields of the requests that have to do with others.
    Raises ApiError, RequestError, TemplateError, PluginNotInstalled.
    """
    params = serving.limited(params)

    def work() -> tuple[Turn, list[Request]]:
        turn = Turn(model, messages, params, toolbox, variables=variables)
        return turn, [replace(request, **place) for request in turn.requests()]

    # rendering and encoding a long conversation would hold the loop up
    return await asyncio.to_thread(work)
