"""RING_CONFIG and MISTRALRS_MN_*: one model over several processes or machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tramontane.errors import UsageError
from tramontane.parallel.ranks import MISTRAL, Ranks, ranks_of

from .plan import Plan

RING = "`--interconnect ring`, which reads the file; it needs tramontane-plugin-ring"
ONE_MACHINE = "`--tp N`"
MACHINES = "`--tp N --tp-nodes I/M@HOST:PORT`"
NO_NCCL = (
    "`--tp 1` where MISTRALRS_MN_... is set; else layers are on devices whole unless asked "
    "otherwise"
)
SIZES = (f"{MISTRAL}LOCAL_WORLD_SIZE", f"{MISTRAL}GLOBAL_WORLD_SIZE")
SHARED = ("run", "serve", "bench")
"""Commands of ours whose model several processes may compute."""


def add_parallel(plan: Plan, environ: Mapping[str, str]) -> None:
    """The options of a model on several processes, for what the environment says.

    Raises UsageError for what cannot be had.
    """
    ring = environ.get("RING_CONFIG")
    theirs = {name: value for name, value in environ.items() if name.startswith(MISTRAL) and value}
    if not ring and not theirs:
        return
    name = "RING_CONFIG" if ring else next(iter(theirs))
    if plan.command not in SHARED:
        if plan.command in ("image", "speak"):
            raise UsageError(
                f"{name}: only models of text are computed by several processes: unset it"
            )
        plan.notes.append(f"{name} has no effect: one process does this")
        return
    if ring and theirs:
        raise UsageError(f"RING_CONFIG and {next(iter(theirs))} are both set: unset one of them")
    if ring:
        _add(plan, {"interconnect": "ring"})
    elif environ.get("MISTRALRS_NO_NCCL"):
        _add(plan, {"tp": "1"})
    else:
        _add(plan, _ranks(theirs))


def _ranks(theirs: Mapping[str, str]) -> dict[str, Any]:
    if not any(size in theirs for size in SIZES):
        name = next(iter(theirs))
        raise UsageError(
            f"{name}={theirs[name]}: is nothing without {SIZES[1]}, the number of processes"
        )
    for name in SIZES:
        if name in theirs and (not theirs[name].isdecimal() or not int(theirs[name])):
            raise UsageError(f"{name}={theirs[name]}: not a number of devices")
    ranks = ranks_of(None, None, theirs)
    if ranks is None:
        return {}
    return {"tp": str(ranks.size)} | _machines(ranks)


def _machines(ranks: Ranks) -> dict[str, str]:
    """Which of several machines this is. Where they have different numbers of ranks only the
    environment can say it, which the command reads too."""
    if not ranks.address or ranks.size % ranks.local or ranks.rank % ranks.local:
        return {}
    address = f"[{ranks.address}]" if ":" in ranks.address else ranks.address
    place = f"{ranks.rank // ranks.local}/{ranks.size // ranks.local}@{address}:{ranks.port}"
    return {"tp_nodes": place}


def _add(plan: Plan, options: dict[str, Any]) -> None:
    for target in plan.models or [plan.options]:
        target.update(options)
