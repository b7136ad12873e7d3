"""Asks a server how it is, and reads what it answers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2 as httpx
from prometheus_client.parser import text_string_to_metric_families
from tramontane.errors import TramontaneError, UsageError
from tramontane.sanitize import one_line

LARGEST = 16 << 20
"""Bytes of an answer."""
PATIENCE = 5.0
"""Seconds for an answer."""


@dataclass(frozen=True)
class Reading:
    """A server's figures at a time.

    when: in seconds. ready: what it says of itself. figures: by name and model, summed over other
    labels; "" is for figures that are of no model. answers: requests so far by status. models: as
    `/v1/models` lists them.
    """

    when: float
    ready: str
    figures: Mapping[str, Mapping[str, float]]
    answers: Mapping[str, float] = field(default_factory=dict)
    models: tuple[Mapping[str, Any], ...] = ()

    def of(self, name: str, model: str = "") -> float:
        """A figure, 0 where there is none. name: without `tramontane_`."""
        found = self.figures.get(f"tramontane_{name}") or self.figures.get(name) or {}
        return found.get(model, 0.0)


class ServerGone(TramontaneError):
    """A server gives no answer, or not one that can be read."""


def read(client: httpx.Client) -> Reading:
    """Raises ServerGone, and UsageError where the server refuses the key."""
    text = _get(client, "/metrics")
    ready = _json(client, "/ready", statuses=(200, 503))
    listed = _json(client, "/v1/models")
    figures, answers = parsed(text)
    models = listed.get("data")
    return Reading(
        time.monotonic(),
        one_line(ready.get("status", "?")),
        figures,
        answers,
        tuple(each for each in models if isinstance(each, dict))
        if isinstance(models, list)
        else (),
    )


def parsed(text: str) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """(figures, answers) of Prometheus' text. Raises ServerGone for what is none."""
    figures: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    answers: dict[str, float] = defaultdict(float)
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if "le" in sample.labels:  # of a histogram, only its sum and count
                    continue
                figures[sample.name][sample.labels.get("model_name", "")] += sample.value
                if sample.name == "http_requests_total":
                    answers[one_line(sample.labels.get("status", "?"), 8)] += sample.value
    except (ValueError, KeyError, IndexError) as error:
        raise ServerGone(f"its metrics cannot be read: {one_line(error)}") from error
    return figures, answers


def _json(client: httpx.Client, path: str, statuses: tuple[int, ...] = (200,)) -> Mapping[str, Any]:
    import json

    try:
        found = json.loads(_get(client, path, statuses))
    except ValueError as error:
        raise ServerGone(f"{client.base_url}: {path} answers what is not JSON") from error
    return found if isinstance(found, dict) else {}


def _get(client: httpx.Client, path: str, statuses: tuple[int, ...] = (200,)) -> str:
    url = str(client.base_url).rstrip("/")
    try:
        with client.stream("GET", path) as answer:
            data = bytearray()
            for part in answer.iter_bytes():
                data += part
                if len(data) > LARGEST:
                    raise ServerGone(f"{url}: {path} answers more than {LARGEST} bytes")
    except httpx.HTTPError as error:
        said = one_line(error) or type(error).__name__
        raise ServerGone(f"{url} gives no answer: {said}") from error
    if answer.status_code in (401, 403):
        raise UsageError(
            f"{url} refuses {path} without a valid key",
            hint="set TRAMONTANE_API_KEY, or give --api-key-file",
        )
    if answer.status_code not in statuses:
        raise ServerGone(f"{url}: {path} answers with status {answer.status_code}")
    return data.decode("utf-8", "replace")
