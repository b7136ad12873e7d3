"""Ranks as processes: the same answers, and an end with a name where one is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tramontane import LLM
from tramontane.errors import EngineBusy, ModelLost, TramontaneError
from tramontane.parallel.children import RankFailed
from tramontane.sampling_params import SamplingParams

FULL = os.environ.get("TRAMONTANE_FULL") == "1"
full = pytest.mark.skipif(not FULL, reason="more processes: TRAMONTANE_FULL=1")
PROMPT = "Once upon a time"
GREEDY = SamplingParams(max_tokens=24, temperature=0)
LONG = SamplingParams(max_tokens=400, temperature=0, ignore_eos=True)


@contextmanager
def opened(**options: object) -> Iterator[LLM]:
    llm = LLM(threads=1, tp_timeout=8.0, **options)  # type: ignore[arg-type]
    try:
        yield llm
    finally:
        llm.close()


def lose(llm: LLM, rank: int, how: signal.Signals) -> tuple[str, float]:
    """What a stream ends with when a rank is lost in its middle, and after how many seconds."""
    assert llm.inner.team is not None
    began, pid = 0.0, llm.inner.team.pids[rank]
    try:
        with pytest.raises(TramontaneError) as caught:  # noqa: PT012 - the stream is what raises
            for index, _ in enumerate(llm.generate(PROMPT, LONG, stream=True)):
                if index == 5:
                    os.kill(pid, how)
                    began = time.monotonic()
        return str(caught.value), time.monotonic() - began
    finally:
        if how is signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)


def test_two_processes_answer_as_one_and_end_with_a_name() -> None:
    with opened() as llm:
        wanted, ids = llm.generate(PROMPT, GREEDY).text, llm.tokenize(PROMPT)
        logits = np.asarray(llm.logits(ids))
    with opened(tp=2) as llm:
        assert llm.report.shared[0].startswith("rank 0 of 2: shared by the ranks: 4 x Attention")
        assert llm.report.eager_reason is None
        assert llm.generate(PROMPT, GREEDY).text == wanted
        found = np.asarray(llm.logits(ids))
        assert np.abs(found - logits).max() < 2e-2 * np.abs(logits).max()  # 8-bit activations
        both = llm.generate([PROMPT, "The "], GREEDY)  # in one batch, and a prefix known already
        assert both[0].text == wanted
        said, seconds = lose(llm, 1, signal.SIGKILL)
        assert "rank 1" in said
        assert "SIGKILL" in said
        assert seconds < 8
        with pytest.raises(ModelLost, match="loaded again"):
            llm.generate(PROMPT)


@full
@pytest.mark.parametrize("size", [3, 4])
def test_more_processes_have_the_same_bits_in_every_run(size: int) -> None:
    runs = []
    for _ in range(2):
        with opened(tp=size, activations="f32", kv_type="f32") as llm:
            ids = llm.tokenize(PROMPT)
            runs.append(np.asarray(llm.logits(ids)).copy())
            n = SamplingParams(max_tokens=12, temperature=0.8, seed=3, n=2)  # forks a prompt
            runs.append(np.array([*map(ord, llm.generate(PROMPT, n).text)]))
    assert np.array_equal(runs[0], runs[2])
    assert np.array_equal(runs[1], runs[3])
    with opened(activations="f32", kv_type="f32") as llm:
        alone = np.asarray(llm.logits(ids))
    assert np.abs(runs[0] - alone).max() < 1e-4 * np.abs(alone).max()


@full
def test_a_rank_that_stalls_is_given_up_in_time() -> None:
    with opened(tp=2) as llm:
        said, seconds = lose(llm, 1, signal.SIGSTOP)
    assert "did not answer within 8 s" in said
    assert seconds < 16


@full
def test_a_rank_that_ends_while_nothing_runs_is_noticed() -> None:
    with opened(tp=2) as llm:
        assert llm.inner.team is not None
        os.kill(llm.inner.team.pids[1], signal.SIGKILL)
        until = time.monotonic() + 30
        while not llm.inner.engine.lost and time.monotonic() < until:
            time.sleep(0.1)
        assert "SIGKILL" in llm.inner.engine.lost
        with pytest.raises(EngineBusy, match=r"rank 1 .* SIGKILL"):
            llm.generate(PROMPT)


@full
def test_no_process_stays_behind_when_rank_0_is_killed() -> None:
    code = "from tramontane import LLM; import time; llm = LLM(threads=1, tp=2)\n"
    code += "print(llm.inner.team.pids[1], flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as rank:
        assert rank.stdout is not None
        pid = int(rank.stdout.readline())
        rank.kill()
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()


@full
def test_what_a_rank_cannot_load_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "sitecustomize.py"
    broken.write_text(
        "import sys\nif 'tramontane.parallel.worker' in sys.orig_argv: "
        "import tramontane.errors as e; import tramontane.parallel.joining as j\n"
        "def fail(spec): raise e.NotEnoughMemory('too little is free')\n"
        "if 'tramontane.parallel.worker' in sys.orig_argv: j.load_share = fail\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RankFailed, match="rank 1: too little is free"):
        LLM(threads=1, tp=2)


@full
def test_torchruns_environment(tmp_path: Path) -> None:
    code = (
        "from tramontane import LLM\nfrom tramontane.sampling_params import SamplingParams\n"
        "llm = LLM(threads=1)\n"
        f"print(llm.generate({PROMPT!r}, SamplingParams(max_tokens=8, temperature=0)).text)\n"
        "llm.close()"
    )
    started = []
    for rank in range(2):
        environment = {
            **os.environ, "RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": "29653",
        }  # fmt: skip
        command = [sys.executable, "-c", code]
        started.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE))
    said = [each.communicate(timeout=120)[0] for each in started]
    assert [each.returncode for each in started] == [0, 0]
    assert said[0]
    assert not said[1]
