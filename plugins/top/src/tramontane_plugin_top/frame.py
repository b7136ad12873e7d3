"""What is shown of two readings: rates are of the time between them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from tramontane.sanitize import one_line

from .reading import Reading

NUMBERS = ("run", "wait", "in/s", "out/s", "first", "KV", "hits", "drafts")


def frame(url: str, before: Reading, now: Reading) -> RenderableType:
    """The server, a row for each model, and its adapters below it."""
    table = Table(expand=True, box=None, pad_edge=False, header_style="bold")
    table.add_column("model", no_wrap=True, ratio=1)
    table.add_column("state", no_wrap=True)
    for name in NUMBERS:
        table.add_column(name, justify="right", no_wrap=True)
    parents = [each for each in now.models if not each.get("parent")]
    for model in parents:
        table.add_row(*_row(model, before, now))
        for adapter in now.models:
            if adapter.get("parent") == model.get("id"):
                table.add_row(Text(f"  + {one_line(adapter.get('id'), 40)}"), Text("adapter"))
    if not parents:
        table.add_row(Text("no models"))
    title = Text.assemble("tramontane ", (url, "bold"), "  ", _state(now.ready))
    return Panel(Group(table, Text(), _requests(before, now)), title=title, title_align="left")


def _row(model: Mapping[str, Any], before: Reading, now: Reading) -> list[Text]:
    name = str(model.get("id", ""))

    def rate(figure: str) -> float:
        return _rate(now.of(figure, name) - before.of(figure, name), before, now)

    def share(part: str, whole: str) -> str:
        some = now.of(whole, name)
        return f"{100 * now.of(part, name) / some:.0f}%" if some else "-"

    waiting = now.of("num_requests_waiting", name) + now.of("tasks_waiting", name)
    running = now.of("num_requests_running", name) + now.of("tasks_running", name)
    cells = [
        one_line(name, 40),
        one_line(model.get("status", "?"), 20),
        f"{running:.0f}",
        f"{waiting:.0f}",
        f"{rate('prompt_tokens_total'):.0f}",
        f"{rate('generation_tokens_total'):.1f}",
        _first(name, before, now),
        f"{100 * now.of('kv_cache_usage_perc', name):.0f}%",
        share("prefix_cache_hits_total", "prefix_cache_queries_total"),
        share("accepted_tokens_total", "generation_tokens_total"),
    ]
    return [
        Text(cell, style="yellow" if index == 3 and waiting else "")
        for index, cell in enumerate(cells)
    ]


def _first(name: str, before: Reading, now: Reading) -> str:
    """The mean time to the first token: of requests since then, or of all if there were none."""
    figure = "time_to_first_token_seconds"
    count, total = now.of(f"{figure}_count", name), now.of(f"{figure}_sum", name)
    more = count - before.of(f"{figure}_count", name)
    if more > 0:
        return f"{1000 * (total - before.of(f'{figure}_sum', name)) / more:.0f}ms"
    return f"{1000 * total / count:.0f}ms" if count else "-"


def _requests(before: Reading, now: Reading) -> Text:
    said = [f"{now.of('http_requests_in_flight'):.0f} HTTP requests open"]
    done = sum(now.answers.values()) - sum(before.answers.values())
    said.append(f"{_rate(done, before, now):.1f} a second")
    said += [f"{status}: {count:.0f}" for status, count in sorted(now.answers.items())]
    return Text("   ".join(said), style="dim")


def _rate(more: float, before: Reading, now: Reading) -> float:
    """A second; 0 where a counter began again, as that of a model that was loaded anew."""
    passed = now.when - before.when
    return max(0.0, more) / passed if passed > 0 else 0.0


def _state(ready: str) -> Text:
    return Text(ready, style="green" if ready == "ready" else "yellow")
