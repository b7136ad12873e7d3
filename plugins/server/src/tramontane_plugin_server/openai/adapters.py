"""POST /v1/load_lora_adapter and /v1/unload_lora_adapter, as vLLM has them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import Field

from tramontane_plugin_server.adapters import load_adapter, unload_adapter
from tramontane_plugin_server.app_state import serving_of
from tramontane_plugin_server.ignored import Route

from .fields import RequestBody
from .models import ADMIN
from .shapes import Shape

router = APIRouter(route_class=Route)


class LoadAdapter(RequestBody):
    """An adapter to load."""

    lora_name: str = Field(
        min_length=1, max_length=120, description="what requests call it, as `model` or `adapter`"
    )
    lora_path: str = Field(
        min_length=1,
        max_length=4096,
        description="below the folder that the server's owner allows; or org/name on the hub, "
        "where that is allowed",
    )
    load_inplace: bool = Field(False, description="take the place of one of that name")
    model: str | None = Field(
        None, max_length=512, description="absent or `default`: the first model of the server"
    )


class UnloadAdapter(RequestBody):
    """An adapter to forget."""

    lora_name: str = Field(min_length=1, max_length=120)


class AdapterStatus(Shape):
    lora_name: str
    status: str
    model_id: str


@router.post("/v1/load_lora_adapter", response_model=AdapterStatus, responses=ADMIN)
async def load_lora_adapter(request: Request, body: LoadAdapter) -> dict[str, str]:
    """Load an adapter while requests are answered. Refused unless the server's owner allows it;
    where there are keys, it needs an admin key."""
    serving = serving_of(request)
    served = serving.catalog.find_model(body.model)
    await load_adapter(serving, served, body.lora_name, body.lora_path, again=body.load_inplace)
    return {"lora_name": body.lora_name, "status": "loaded", "model_id": served.name}


@router.post("/v1/unload_lora_adapter", response_model=AdapterStatus, responses=ADMIN)
async def unload_lora_adapter(request: Request, body: UnloadAdapter) -> dict[str, str]:
    """Forget an adapter; what is being answered with it ends as it began. Refused unless the
    server's owner allows it; where there are keys, it needs an admin key."""
    served = await unload_adapter(serving_of(request), body.lora_name)
    return {"lora_name": body.lora_name, "status": "unloaded", "model_id": served.name}
