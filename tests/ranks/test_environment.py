"""Which rank a process is: options, torchrun's environment, mistral.rs's."""

from __future__ import annotations

import pytest
from tramontane.errors import UsageError
from tramontane.parallel.ranks import Ranks, ranks_of

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}
OF_TORCHRUN = Ranks(rank=1, size=2, local=1, address="10.0.0.1", port=29500)
MN = "MISTRALRS_MN_"


def test_options_alone() -> None:
    assert ranks_of(None, None, {}) is None
    assert ranks_of(1, None, TORCHRUN) is None
    assert ranks_of(3, None, {}) == Ranks(rank=0, size=3, local=3)
    second = Ranks(rank=2, size=4, local=2, address="::1", port=29500)
    assert ranks_of(4, "1/2@[::1]:29500", {}) == second


def test_torchrun() -> None:
    assert ranks_of(None, None, TORCHRUN) == OF_TORCHRUN
    assert ranks_of(2, None, TORCHRUN) == OF_TORCHRUN
    assert ranks_of(None, None, {**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0"}) is None
    assert ranks_of(None, None, {"RANK": "1"}) is None


def test_mistral_rs() -> None:
    assert ranks_of(None, None, {f"{MN}LOCAL_WORLD_SIZE": "2"}) == Ranks(rank=0, size=2, local=2)
    head = {
        f"{MN}GLOBAL_WORLD_SIZE": "4", f"{MN}HEAD_NUM_WORKERS": "1", f"{MN}HEAD_PORT": "7000"
    }  # fmt: skip
    first = Ranks(rank=0, size=4, local=2, address="0.0.0.0", port=7000)
    assert ranks_of(None, None, head) == first
    worker = {
        f"{MN}GLOBAL_WORLD_SIZE": "4", f"{MN}WORKER_ID": "0", f"{MN}LOCAL_WORLD_SIZE": "2",
        f"{MN}WORKER_SERVER_ADDR": "10.0.0.1:7000",
    }  # fmt: skip
    second = Ranks(rank=2, size=4, local=2, address="10.0.0.1", port=7000)
    assert ranks_of(None, None, worker) == second


@pytest.mark.parametrize(
    ("asked", "nodes", "environment", "said"),
    [
        (3, None, TORCHRUN, "--tp 3 and an environment of 2 ranks"),
        (2, "0/2", {}, "should be MACHINE/MACHINES@HOST:PORT"),
        (None, "0/2@h:1", {}, "--tp says how many"),
        (3, "0/2@h:1", {}, "share equally"),
        (2, "2/2@h:1", {}, "from 0 to 1"),
        (65, None, {}, "2 to 64"),
        (None, None, {**TORCHRUN, "RANK": "x"}, "RANK='x' is no whole number"),
        (None, None, {**TORCHRUN, "RANK": "5"}, "cannot be on one machine"),
        (None, None, {**TORCHRUN, "MASTER_PORT": "0"}, "port 0"),
        (None, None, {f"{MN}GLOBAL_WORLD_SIZE": "4"}, f"{MN}HEAD_PORT"),
    ],
)
def test_what_does_not_fit_together(
    asked: int | None, nodes: str | None, environment: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        ranks_of(asked, nodes, environment)
