"""RING_CONFIG and MISTRALRS_MN_*: our options of the ranks that our own commands find by them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tramontane.errors import UsageError
from tramontane.parallel.ranks import ranks_of
from tramontane_plugin_mistralrs.environment import VARIABLES
from tramontane_plugin_mistralrs.parallel import add_parallel
from tramontane_plugin_mistralrs.plan import Plan

Parses = Callable[[list[str]], None]
MACHINES = {"MISTRALRS_MN_GLOBAL_WORLD_SIZE": "4"}
HEAD = {
    **MACHINES, "MISTRALRS_MN_HEAD_NUM_WORKERS": "1", "MISTRALRS_MN_HEAD_PORT": "29500",
}  # fmt: skip
WORKER = {
    **MACHINES, "MISTRALRS_MN_WORKER_SERVER_ADDR": "10.0.0.1:29500", "MISTRALRS_MN_WORKER_ID": "0",
    "MISTRALRS_MN_LOCAL_WORLD_SIZE": "2",
}  # fmt: skip
PARALLEL = [
    ({"RING_CONFIG": "ring.json"}, {"interconnect": "ring"}),
    ({"MISTRALRS_MN_LOCAL_WORLD_SIZE": "2"}, {"tp": "2"}),
    ({"MISTRALRS_MN_LOCAL_WORLD_SIZE": "1"}, {}),
    ({"MISTRALRS_MN_LOCAL_WORLD_SIZE": "2", "MISTRALRS_NO_NCCL": "1"}, {"tp": "1"}),
    (HEAD, {"tp": "4", "tp_nodes": "0/2@0.0.0.0:29500"}),
    (WORKER, {"tp": "4", "tp_nodes": "1/2@10.0.0.1:29500"}),
    ({**HEAD, "MISTRALRS_MN_LOCAL_WORLD_SIZE": "3"}, {"tp": "4"}),
    ({"MISTRALRS_NO_NCCL": "1"}, {}),
]


def test_every_variable_is_tried() -> None:
    named = {name for name in VARIABLES if name.startswith("MISTRALRS_MN_")}
    assert named == {name for environ, _ in PARALLEL for name in environ} - {
        "RING_CONFIG", "MISTRALRS_NO_NCCL"
    }  # fmt: skip


@pytest.mark.parametrize(("environ", "expected"), PARALLEL)
@pytest.mark.parametrize("command", ["run", "serve", "bench"])
def test_several_processes_are_our_options(
    command: str, environ: dict[str, str], expected: dict[str, str], parses: Parses
) -> None:
    """The ranks are those that our own commands find in the environment without the options."""
    plan = Plan(command, {"model": "org/a"})
    add_parallel(plan, environ)
    assert plan.options == {"model": "org/a", **expected}
    parses(plan.arguments())
    if "RING_CONFIG" not in environ and "MISTRALRS_NO_NCCL" not in environ:
        tp, nodes = expected.get("tp"), expected.get("tp_nodes")
        assert ranks_of(tp, nodes, environ) == ranks_of(None, None, environ)


def test_several_processes_are_of_each_model() -> None:
    plan = Plan("serve", models=[{}, {}])
    add_parallel(plan, {"RING_CONFIG": "ring.json"})
    assert plan.models == [{"interconnect": "ring"}] * 2


@pytest.mark.parametrize(
    ("command", "environ", "said"),
    [
        ("run", {"MISTRALRS_MN_WORKER_ID": "0"}, "MISTRALRS_MN_WORKER_ID=0: is nothing without"),
        ("run", MACHINES, "the first machine needs MISTRALRS_MN_HEAD_NUM_WORKERS"),
        ("run", {"MISTRALRS_MN_LOCAL_WORLD_SIZE": "two"}, "not a number of devices"),
        ("run", {"RING_CONFIG": "r", **MACHINES}, "are both set"),
        ("image", {"RING_CONFIG": "r"}, "RING_CONFIG: only models of text"),
    ],
)
def test_processes_that_cannot_be(command: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        add_parallel(Plan(command), environ)


def test_one_process_says_so() -> None:
    plan = Plan("quantize")
    add_parallel(plan, {"RING_CONFIG": "r"})
    assert plan.notes == ["RING_CONFIG has no effect: one process does this"]
