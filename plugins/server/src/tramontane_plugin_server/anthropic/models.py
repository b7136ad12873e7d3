"""GET /v1/models as Anthropic's clients read it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from tramontane_plugin_server.http.errors import ApiError
from tramontane_plugin_server.ignored import Queried
from tramontane_plugin_server.model_manager import Served


class Page(Queried):
    """Which models; for clients of Anthropic's API, which send `anthropic-version`."""

    before_id: str | None = Field(
        None, max_length=512, description="the page ends before the model of this id"
    )
    after_id: str | None = Field(
        None, max_length=512, description="the page starts after the model of this id"
    )
    limit: int = Field(20, ge=1, le=1000)


def page(models: Sequence[tuple[Served, str]], which: Page) -> dict[str, Any]:
    """A part of the list. models: with each of their names.

    Raises ApiError for an id that is none of theirs.
    """
    ids = [name for _, name in models]
    for name, value in (("before_id", which.before_id), ("after_id", which.after_id)):
        if value is not None and value not in ids:
            raise ApiError(400, f"{name}: there is no model {value[:100]!r} here", param=name)
    first = 0 if which.after_id is None else ids.index(which.after_id) + 1
    last = len(ids) if which.before_id is None else ids.index(which.before_id)
    found = models[first:last]
    backwards = which.before_id is not None and which.after_id is None
    part = found[-which.limit :] if backwards else found[: which.limit]
    return {
        "data": [as_dict(served, name) for served, name in part],
        "has_more": len(found) > len(part),
        "first_id": part[0][1] if part else None,
        "last_id": part[-1][1] if part else None,
    }


def as_dict(served: Served, name: str) -> dict[str, Any]:
    """A model, by one of its names."""
    context = served.model.most_tokens if served.model else None
    created = datetime.fromtimestamp(served.created, UTC)
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
        "max_input_tokens": context,
        "max_tokens": context,
    }
