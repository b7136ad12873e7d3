"""`tramontane bench`: what it measures, and what it compares with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tramontane.cli.memory_speed import cache_size

Run = Callable[..., tuple[int, str, str]]


def test_bench_measures_what_it_says(run: Run, model: Path) -> None:
    status, out, _ = run(
        "bench", "-m", model, "--prompt", "16,32", "--gen", "4", "--depth", "0,20",
        "--parallel", "1,3", "--reps", "2", "--json",
    )  # fmt: skip
    told = json.loads(out)
    assert status == 0
    assert {"model", "layouts", "device", "versions", "load_seconds", "peak_memory"} <= set(told)
    assert len(told["results"]) == 2 * 2 * 3
    for result in told["results"]:
        assert (result["prompt"] == 0) != (result["gen"] == 0)
        assert len(result["samples"]) == 2
        assert result["tokens_per_second"] > 0
    _, table, _ = run("bench", "-m", model, "--prompt", "16", "--gen", "4", "--reps", "1")
    assert "prefill 16" in table
    assert "decode 4" in table
    assert "which may fit the processor's caches" in table
    assert "of the memory bandwidth" not in table


@pytest.mark.parametrize("kind", ["ours", "peer"])
def test_bench_compares(run: Run, model: Path, tmp_path: Path, kind: str) -> None:
    command = ("bench", "-m", model, "--prompt", "16", "--gen", "4", "--reps", "1", "--json")
    _, out, _ = run(*command)
    earlier = tmp_path / "earlier.json"
    peer = {"engine": "x", "depth": 0, "parallel": 1, "pp16": 2.0, "tg4": 4.0}
    earlier.write_text(out if kind == "ours" else json.dumps(peer))
    _, out, _ = run(*command, "--compare", earlier)
    prefill, decode = json.loads(out)["results"]
    before = {0: 2.0, 4: 4.0}
    if kind == "ours":
        told = json.loads(earlier.read_text())
        before = {r["gen"]: r["tokens_per_second"] for r in told["results"]}
    for result in (prefill, decode):
        assert result["ratio"] == result["tokens_per_second"] / before[result["gen"]]
    assert decode["bytes_per_step"] > 0
    assert decode["bandwidth_share"] is None  # a tiny model is not read from memory
    assert prefill["bytes_per_step"] is None


def test_a_model_beyond_the_caches_has_a_share_of_the_bandwidth(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tramontane.cli.bench.cache_size", lambda: 0)
    command = ("bench", "-m", model, "--prompt", "0", "--gen", "4", "--reps", "1")
    assert "of the memory bandwidth" in run(*command)[1]


@pytest.mark.parametrize(
    ("lines", "size"),
    [
        ([], 64 << 20),
        ([(3, "0-1"), (3, "0-1")], 8 << 20),
        ([(2, "0"), (3, "0"), (3, "1")], 16 << 20),
    ],
)
def test_the_last_caches_are_counted_once(
    tmp_path: Path, lines: list[tuple[int, str]], size: int
) -> None:
    for cpu, (level, shared) in enumerate(lines):
        folder = tmp_path / f"cpu{cpu}" / "cache" / f"index{level}"
        folder.mkdir(parents=True)
        (folder / "level").write_text(f"{level}\n")
        (folder / "shared_cpu_list").write_text(f"{shared}\n")
        (folder / "size").write_text("8192K\n")
    assert cache_size(tmp_path) == size


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"results": [1]}', '{"pp16": "fast"}', "\x00"])
def test_bench_refuses_what_it_cannot_compare(run: Run, tmp_path: Path, text: str) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(text)
    status, _, err = run("bench", "--compare", earlier)
    assert (status, str(earlier) in err, err.count("\n")) == (1, True, 1)
    status, _, err = run("bench", "--compare", tmp_path / "none.json")
    assert (status, "none.json" in err) == (1, True)
