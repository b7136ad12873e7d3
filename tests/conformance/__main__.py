"""`./dev conformance`: the MCP conformance suite against `tramontane mcp` and `serve --mcp`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from tests.load.run import server

from .scenarios import reason
from .suite import VERSION, CannotRun, Outcome, Suite


def main() -> int:
    """Exit status 1 when a check failed, 2 when the suite cannot run."""
    parser = argparse.ArgumentParser("./dev conformance", description=__doc__)
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="scenarios with this in the name"
    )
    options = parser.parse_args()
    try:
        suite = Suite(Path(sys.prefix) / "conformance")
    except CannotRun as error:
        print(error, file=sys.stderr)
        return 2
    outcomes = list(_client(suite, options.only)) + list(_server(suite, options.only))
    left_out = [
        (side, name)
        for side in ("client", "server")
        for name in suite.scenarios(side)
        if reason(side, name)
    ]
    print(f"{date.today()}, @modelcontextprotocol/conformance {VERSION}\n")
    print("\n".join([*table(outcomes), "", *rest(left_out)]))
    return int(any(outcome.failed for outcome in outcomes))


def _client(suite: Suite, only: str) -> Iterator[Outcome]:
    command = f"{sys.executable} -m tests.conformance.client"
    for name in _wanted(suite, "client", only):
        with tempfile.TemporaryDirectory() as folder:
            yield suite.client(name, command, Path(folder))


def _server(suite: Suite, only: str) -> Iterator[Outcome]:
    names = _wanted(suite, "server", only)
    if not names:
        return
    with server("--mcp") as (url, _):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                yield suite.server(
                    name, f"{url.replace('127.0.0.1', 'localhost')}/mcp", Path(folder)
                )


def _wanted(suite: Suite, side: str, only: str) -> list[str]:
    return [name for name in suite.scenarios(side) if only in name and not reason(side, name)]


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Those that were run, in Markdown; what failed below it."""
    lines = ["| of ours | scenario | checks passed | failed |", "|---|---|---|---|"]
    lines += [f"| {o.side} | {o.scenario} | {o.passed} | {len(o.failed)} |" for o in outcomes]
    failed = [f"{o.scenario}: {said}" for o in outcomes for said in o.failed]
    return [*lines, "", *failed] if failed else lines


def rest(left_out: Sequence[tuple[str, str]]) -> list[str]:
    """Those that do not apply, with their reasons, in Markdown."""
    groups: dict[tuple[str, str], list[str]] = {}
    for side, name in left_out:
        groups.setdefault((side, reason(side, name)), []).append(name)
    lines = ["| does not apply to our | scenarios | because |", "|---|---|---|"]
    return lines + [
        f"| {side} | {len(names)}: {', '.join(names)} | {why} |"
        for (side, why), names in groups.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
