"""/metrics: Prometheus text, with the metrics that vLLM and mistral.rs have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from .model_manager import Catalog

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
METHODS = ("GET", "POST", "DELETE", "PUT", "OPTIONS", "HEAD")
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000)
GAUGES = {
    "num_requests_running": ("Requests that are being answered.", "running"),
    "num_requests_waiting": ("Requests that wait to be started.", "waiting"),
    "kv_cache_blocks_used": ("KV cache blocks that requests hold.", "kv_blocks_used"),
    "kv_cache_blocks": ("KV cache blocks in all.", "kv_blocks_total"),
    "state_snapshots": ("Snapshots of states, of models that keep any.", "state_snapshots"),
    "state_slots": ("Slots for states, of requests and snapshots.", "state_slots"),
}
COUNTERS = {
    "prefix_cache_queries": ("Prompt tokens looked for in the prefix cache.", "prefix_queries"),
    "prefix_cache_hits": ("Prompt tokens found there.", "prefix_hits"),
    "prefix_cache_evictions": ("Cached blocks that were reused for others.", "prefix_evictions"),
    "num_preemptions": ("Requests that were preempted and recomputed.", "preemptions"),
    "forced_tokens": ("Generated tokens that a grammar fixed, without sampling.", "forced_tokens"),
    "drafted_tokens": ("Tokens that a drafter guessed.", "drafted_tokens"),
    "accepted_tokens": ("Generated tokens that a drafter had guessed.", "accepted_tokens"),
    "engine_steps": ("Forward passes.", "steps"),
    "engine_failed_steps": ("Forward passes that failed.", "failed_steps"),
}


class Metrics:
    """One server's. Every name begins with `tramontane_`, but for http_*."""

    def __init__(self, *, by_key: bool = False) -> None:
        """by_key: count requests and tokens by the names of API keys too, a series for each."""
        self.registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # in this format they are gauges, a third more series of them

        def histogram(name: str, said: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"tramontane_{name}", said, ["model_name"], buckets=buckets, registry=self.registry
            )

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(
                f"tramontane_{name}", said, ["model_name", *labels], registry=self.registry
            )

        self.first_token = histogram(
            "time_to_first_token_seconds", "From arrival to the first token.", SECONDS
        )
        self.between_tokens = histogram(
            "inter_token_latency_seconds", "Between tokens of an answer.", SECONDS
        )
        self.whole = histogram(
            "e2e_request_latency_seconds", "From arrival to the last token.", SECONDS
        )
        self.queued = histogram("request_queue_time_seconds", "In the queue.", SECONDS)
        self.prompt_size = histogram("request_prompt_tokens", "Tokens of a prompt.", TOKENS)
        self.answer_size = histogram("request_generation_tokens", "Tokens of an answer.", TOKENS)
        self.prompt_tokens = counter("prompt_tokens", "Prompt tokens.")
        self.answer_tokens = counter("generation_tokens", "Generated tokens.")
        self.ended = counter("request_success", "Answers by how they ended.", "finished_reason")
        self.in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered.", registry=self.registry
        )
        self._requests = Counter(
            "http_requests", "Requests.", ["method", "handler", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds", "Until the end of an answer.", ["method", "handler"],
            buckets=SECONDS, registry=self.registry,
        )  # fmt: skip
        self._tasks = counter(
            "task_requests", "Requests of other tasks than text.", "task", "outcome"
        )
        self._task_seconds = Histogram(
            "tramontane_task_seconds", "From arrival to the end of a task that is not text.",
            ["model_name", "task"], buckets=SECONDS, registry=self.registry,
        )  # fmt: skip

        self._key_requests = self._key_tokens = None
        if by_key:
            self._key_requests = Counter(
                "tramontane_key_requests", "Requests by the name of their API key.",
                ["key", "status"], registry=self.registry,
            )  # fmt: skip
            self._key_tokens = Counter(
                "tramontane_key_tokens", "Tokens of prompts and answers by the name of a key.",
                ["key"], registry=self.registry,
            )  # fmt: skip

    def key_request(self, key: str, status: int) -> None:
        """A request with a named key was answered."""
        if self._key_requests is not None and key:
            self._key_requests.labels(key, str(status)).inc()

    def key_tokens(self, key: str, tokens: int) -> None:
        """A request with a named key took tokens."""
        if self._key_tokens is not None and key:
            self._key_tokens.labels(key).inc(tokens)

    def task(self, model: str, task: str, outcome: str, seconds: float) -> None:
        """A request of another task than text has ended: done, failed or cancelled."""
        self._tasks.labels(model, task, outcome).inc()
        self._task_seconds.labels(model, task).observe(seconds)

    def watch(self, catalog: Catalog) -> None:
        """Show the engines' own figures too."""
        self.registry.register(_Engines(catalog))

    def http(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, path, str(status)).inc()
        self._seconds.labels(known, path).observe(seconds)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format 0.0.4."""
        return generate_latest(self.registry)


class _Engines(Collector):
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        stats = {
            served.name: served.model.engine.stats()
            for served in self._catalog.models.values()
            if served.model is not None and hasattr(served.model, "engine")
        }
        for kind, found in ((GaugeMetricFamily, GAUGES), (CounterMetricFamily, COUNTERS)):
            for name, (said, field) in found.items():
                family = kind(f"tramontane_{name}", said, labels=["model_name"])
                for model, figures in stats.items():
                    family.add_metric([model], getattr(figures, field))
                yield family
        queues = {
            served.name: served.model.queue.stats()
            for served in self._catalog.models.values()
            if served.model is not None
        }
        for field in ("running", "waiting"):
            family = GaugeMetricFamily(
                f"tramontane_tasks_{field}", f"Requests of other tasks than text that are {field}.",
                labels=["model_name"],
            )  # fmt: skip
            for model, queue in queues.items():
                family.add_metric([model], getattr(queue, field))
            yield family
        family = GaugeMetricFamily(
            "tramontane_kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.",
            labels=["model_name"],
        )  # fmt: skip
        for model, figures in stats.items():
            family.add_metric([model], figures.kv_blocks_used / max(1, figures.kv_blocks_total))
        yield family
