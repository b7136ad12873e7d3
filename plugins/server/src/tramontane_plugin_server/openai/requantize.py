"""POST /re_isq: a loaded model in another kind of quantization, as mistral.rs has it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from tramontane.errors import TramontaneError

from tramontane_plugin_server.app_state import serving_of
from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.ignored import Route

from .fields import RequestBody
from .models import ADMIN
from .shapes import Shape

router = APIRouter(route_class=Route)


class ReIsqRequest(RequestBody):
    """ggml_type: what `--isq` takes: a kind ("q4_k", "nf4") or bits ("4" or 4); of any quantizer
    that is installed, in spite of its name."""

    ggml_type: str | int
    model: str | None = Field(None, max_length=512)


class Requantized(Shape):
    model_id: str
    status: str
    isq: str
    quantized: str | None
    """What became of its matrices, in one line."""


@router.post("/re_isq", response_model=Requantized, responses=ADMIN)
async def re_isq(request: Request, body: ReIsqRequest) -> dict[str, Any]:
    """Load a model again, quantized to another kind, as `--isq` would have had it. What is being
    answered is finished first; requests that come meanwhile wait. Where there are keys, it needs an
    admin key."""
    served = serving_of(request).catalog.find_model(body.model)
    isq = str(body.ggml_type).strip()
    await asyncio.to_thread(_refuse_unknown, isq)
    model = await served.requantize(isq)
    report = model.report.quantized
    return {
        "model_id": served.name,
        "status": served.status,
        "isq": isq,
        "quantized": None if report is None else next(iter(report.lines()), None),
    }


def _refuse_unknown(isq: str) -> None:
    """Raises ApiError 400 for what nothing installed makes; the loaded model stays as it is."""
    from tramontane.quantizing.choose_kind import asked_kind, kernels_of
    from tramontane.quantizing.kinds import installed_kinds
    from tramontane.registry import Registry

    try:
        asked_kind(isq, installed_kinds(Registry.from_environment()), kernels_of(None))
    except TramontaneError as error:
        raise ApiError(400, f"ggml_type: {error}", param="ggml_type") from error
