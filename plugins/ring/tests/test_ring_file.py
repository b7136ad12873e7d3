"""The file that says a process's place in the ring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tramontane.checkpoint.load_options import LoadOptions
from tramontane.errors import PluginNotInstalled, UsageError
from tramontane.parallel.asked import asked_ranks
from tramontane.parallel.interconnect import choose
from tramontane.parallel.meeting import Meeting
from tramontane.registry import Registry
from tramontane_plugin_ring import speed
from tramontane_plugin_ring.config import place_of, read
from tramontane_plugin_ring.find import find

TWO_MACHINES = {
    "port": 12345, "right_port": 12346, "rank": 0, "world_size": 2, "right_ip": "10.0.0.2"
}  # fmt: skip
ONE_MACHINE = {
    "master_ip": "0.0.0.0", "master_port": 1234, "port": 12345, "right_port": 12346, "rank": 0,
    "world_size": 2,
}  # fmt: skip


def written(folder: Path, found: Any) -> Path:
    path = folder / "ring.json"
    path.write_text(found if isinstance(found, str) else json.dumps(found))
    return path


def test_files_of_mistral_rs_are_read_as_they_are(tmp_path: Path) -> None:
    place = read(written(tmp_path, TWO_MACHINES))
    assert (place.rank, place.size, place.port) == (0, 2, 12345)
    assert (place.right_ip, place.right_port) == ("10.0.0.2", 12346)
    place = read(written(tmp_path, ONE_MACHINE))
    assert (place.right_ip, place.secret, place.weights) == ("127.0.0.1", b"", ())
    assert read(written(tmp_path, {**ONE_MACHINE, "right_ip": "0.0.0.0"})).right_ip == "127.0.0.1"


def test_any_number_of_ranks(tmp_path: Path) -> None:
    for size in (1, 3, 7, 64):
        assert read(written(tmp_path, {**ONE_MACHINE, "world_size": size})).size == size


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"world_size": 0}, "world_size=0 must be a whole number from 1 to 64"),
        ({"world_size": 65}, "world_size=65 must be"),
        ({"rank": 2}, "rank=2 must be a whole number from 0 to 1"),
        ({"rank": -1}, "rank=-1 must be"),
        ({"rank": True}, "rank=True must be"),
        ({"port": None}, "port=None must be a whole number from 1 to 65535"),
        ({"right_port": "12"}, "right_port='12' must be"),
        ({"port": 70000}, "port=70000 must be"),
        ({"master_port": -5}, "master_port=-5 must be"),
        ({"right_ip": 7}, "right_ip=7 must be a text"),
        ({"weights": [1]}, 'weights=[1] must be 2 numbers above 0, or "auto"'),
        ({"weights": [1, 0]}, "weights=[1, 0] must be"),
        ({"weights": [1, "a"]}, "must be 2 numbers"),
        ({"weights": 3}, "weights=3 must be"),
    ],
)
def test_what_cannot_be_is_named_with_the_file(
    tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    path = written(tmp_path, {**ONE_MACHINE, **changed})
    with pytest.raises(UsageError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "7", '{"rank": 1e999}'])
def test_what_is_no_file_of_a_ring(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="is no configuration of a ring"):
        read(written(tmp_path, text))


def test_a_file_that_is_not_there_and_one_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="it has more than 65536 bytes"):
        read(written(tmp_path, " " * 70_000))


def test_the_secret_is_a_file_that_its_owner_alone_reads(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("sixteen bytes of it\n")
    path = written(tmp_path, {**TWO_MACHINES, "secret_file": "secret"})
    secret.chmod(0o644)
    with pytest.raises(UsageError, match="others can read this secret: chmod 600"):
        read(path)
    secret.chmod(0o600)
    assert read(path).secret == b"sixteen bytes of it"
    assert "sixteen" not in repr(read(path))
    secret.write_text("\n")
    with pytest.raises(UsageError, match="holds no secret"):
        read(path)


def test_a_file_of_the_environment_or_an_option_says_the_rank(tmp_path: Path) -> None:
    path = str(written(tmp_path, {**ONE_MACHINE, "rank": 1, "weights": [2, 1]}))
    asked = choose("ring", Registry())
    assert asked.find({}) is None
    by_option = choose(f"ring:config={path}:wait=5", Registry()).find({})
    for found in (asked.find({"RING_CONFIG": path}), by_option):
        assert found is not None
        assert (found.rank, found.size, found.weights) == (1, 2, (2.0, 1.0))
        assert found.options["config"] == path
    assert by_option is not None
    assert by_option.options["wait"] == "5"


def test_a_process_is_a_rank_by_its_environment_unless_options_say_more(tmp_path: Path) -> None:
    environment = {"RING_CONFIG": str(written(tmp_path, {**TWO_MACHINES, "rank": 1}))}
    registry = Registry()
    found = asked_ranks(LoadOptions(), registry, environment)
    assert found is not None
    assert (found.rank, found.size, found.interconnect) == (1, 2, "ring")
    assert found.meeting is not None
    assert asked_ranks(LoadOptions(), registry, {}) is None
    asked = asked_ranks(LoadOptions(tp=3, interconnect="ring"), registry, environment)
    assert asked is not None
    assert (asked.rank, asked.size, asked.meeting, asked.interconnect) == (0, 3, None, "ring")
    alone = str(written(tmp_path, {**TWO_MACHINES, "world_size": 1}))
    assert asked_ranks(LoadOptions(), registry, {"RING_CONFIG": alone}) is None


def test_memory_is_shared_by_the_ranks_of_one_machine_only() -> None:
    nodes = {"tp": 2, "tp_nodes": "0/2@10.0.0.1:2000"}
    with pytest.raises(UsageError, match="--interconnect shm: is for the ranks of one machine"):
        asked_ranks(LoadOptions(interconnect="shm", **nodes), Registry(), {})
    with pytest.raises(PluginNotInstalled, match="did you mean 'ring'"):
        asked_ranks(LoadOptions(interconnect="rings", **nodes), Registry(), {})
    with pytest.raises(UsageError, match="'speed=2' is no option=value of ring; it has: config="):
        asked_ranks(LoadOptions(interconnect="ring:speed=2", **nodes), Registry(), {})


def test_a_file_of_another_rank_is_refused(tmp_path: Path) -> None:
    options = {"config": str(written(tmp_path, ONE_MACHINE))}
    with pytest.raises(UsageError, match="is for rank 0 of 2; this process is rank 1 of 2"):
        place_of(Meeting(rank=1, size=2, options=options))


def test_without_a_file_each_rank_has_a_port_of_this_machine() -> None:
    places = [place_of(Meeting(rank=rank, size=3, port=5000)) for rank in range(3)]
    assert [place.port for place in places] == [5000, 5001, 5002]
    assert [place.right_port for place in places] == [5001, 5002, 5000]
    with pytest.raises(UsageError, match="a ring of 3 ranks needs as many ports"):
        place_of(Meeting(rank=0, size=3))


def test_shares_by_speed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert speed.rounded([10.0, 5.2, 0.01]) == (20.0, 10.0, 1.0)
    monkeypatch.setattr(speed, "SIDE", 64)
    found = find(
        {
            "RING_CONFIG": str(
                written(tmp_path, {**ONE_MACHINE, "world_size": 1, "weights": "auto"})
            )
        },
        {},
    )
    assert found is not None
    assert found.weights == (20.0,)
