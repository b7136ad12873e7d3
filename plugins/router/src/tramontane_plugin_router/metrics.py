"""The router's own figures; every name begins with `tramontane_router_`."""

from __future__ import annotations

from collections.abc import Iterator

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
from tramontane_plugin_server.metrics import METHODS, SECONDS

from .replica import Replicas


class RouterMetrics:
    """One router's. by_key: count requests by the names of API keys too."""

    def __init__(self, replicas: Replicas, *, by_key: bool = False) -> None:
        self._by_key = by_key
        registry = self.registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call]  # as in a server's page

        def counter(name: str, said: str, *labels: str) -> Counter:
            return Counter(f"tramontane_router_{name}", said, labels, registry=registry)

        self.in_flight = Gauge(
            "tramontane_router_requests_in_flight", "Requests being answered.", registry=registry
        )
        self._requests = counter("requests", "Requests.", "method", "handler", "status")
        self._seconds = Histogram(
            "tramontane_router_request_duration_seconds", "Until the end of an answer.",
            ["method", "handler"], buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self._keys = counter("key_requests", "Requests by the name of their key.", "key", "status")
        self._again = counter("retries", "Requests that were sent to another replica.", "reason")
        self._broken = counter("broken_answers", "Answers that ended with their replica.")
        self._blocks = counter("prompt_blocks", "Blocks of text in prompts.")
        self._matched = counter("prompt_blocks_matched", "Those that the replica had seen before.")
        registry.register(_Replicas(replicas))

    def http(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        known = method if method in METHODS else "other"
        self._requests.labels(known, path, str(status)).inc()
        self._seconds.labels(known, path).observe(seconds)

    def key_request(self, key: str, status: int) -> None:
        """A request with a named key was answered."""
        if self._by_key and key:
            self._keys.labels(key, str(status)).inc()

    def key_tokens(self, key: str, tokens: int) -> None:
        """Tokens are counted by replicas."""

    def again(self, reason: str) -> None:
        """A request goes to another replica: lost, refused or busy."""
        self._again.labels(reason).inc()

    def broken(self) -> None:
        """An answer that had begun ended with its replica."""
        self._broken.inc()

    def chosen(self, blocks: int, matched: int) -> None:
        """A prompt was given to a replica that had seen the first `matched` of its blocks."""
        self._blocks.inc(blocks)
        self._matched.inc(matched)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self.registry)


class _Replicas(Collector):
    def __init__(self, replicas: Replicas) -> None:
        self._replicas = replicas

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        ready = GaugeMetricFamily(
            "tramontane_router_replica_ready", "Whether it is given requests.", labels=["replica"]
        )
        running = GaugeMetricFamily(
            "tramontane_router_replica_requests_in_flight", "Requests that it is answering.",
            labels=["replica"],
        )  # fmt: skip
        given = CounterMetricFamily(
            "tramontane_router_replica_requests", "Requests that it was given.", labels=["replica"]
        )
        for one in self._replicas:
            ready.add_metric([one.url], one.state == "ready")
            running.add_metric([one.url], one.running)
            given.add_metric([one.url], one.given)
        yield from (ready, running, given)
