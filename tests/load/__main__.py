"""`./dev load`: a soak of mixed requests, or the speed of many clients with prompts of one size."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Iterator

from .beside import beside
from .report import Report
from .run import alone, server, together
from .workload import fixed, mixed

KINDS = 200
"""Different requests of a soak."""


def main() -> int:
    """Exit status 1 when a request failed, an answer differs, or a block is held."""
    parser = argparse.ArgumentParser("./dev load", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000, help="how many, at most")
    parser.add_argument("--seconds", type=float, default=600, help="how long, at most")
    parser.add_argument("--clients", type=int, default=16, help="at once")
    parser.add_argument("--prompt", type=int, help="measure: tokens of each prompt")
    parser.add_argument("--answer", type=int, default=64, help="measure: tokens of each answer")
    parser.add_argument("--shared", type=int, default=0, help="measure: equal tokens at the start")
    parser.add_argument("--beside", type=int, metavar="TOKENS",
                        help="measure: answers while a prompt so long goes in")  # fmt: skip
    parser.add_argument("--url", help="a server that runs; without it, one is started")
    parser.add_argument("serve", nargs="*", help="after --: options of `tramontane serve`")
    options = parser.parse_args()
    with _server(options) as (url, process):
        if options.beside is not None:
            print("\n".join(asyncio.run(beside(url, options.clients, options.beside))))
            return 0
        found = asyncio.run(_run(options, url, process))
    print("\n".join(found.lines()))
    return 1 if found.errors or found.different or found.leaked_blocks else 0


async def _run(options: argparse.Namespace, url: str, process: int | None) -> Report:
    limits = {"clients": options.clients, "seconds": options.seconds}
    if options.prompt is not None:
        work = fixed(options.requests, options.prompt, options.answer, options.shared)
        await alone(url, fixed(1, 16, 4, 0))  # what is imported at a first request is no token's
        return await together(url, process, work, count=options.requests, **limits)
    work = mixed(KINDS)
    print(f"asking {KINDS} requests alone, then {options.requests} together", file=sys.stderr)
    return await together(
        url, process, work, count=options.requests, expected=await alone(url, work), hang_up=0.05,
        **limits,
    )  # fmt: skip


@contextlib.contextmanager
def _server(options: argparse.Namespace) -> Iterator[tuple[str, int | None]]:
    if options.url:
        yield options.url, None
    else:
        with server(*options.serve) as found:
            yield found


if __name__ == "__main__":
    sys.exit(main())
