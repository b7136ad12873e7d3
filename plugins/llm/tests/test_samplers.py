"""Configurations of llm's samplers, as chains of ours."""

from __future__ import annotations

import pytest
from tramontane.errors import UsageError
from tramontane.plugin import Sampler
from tramontane.registry import Registry
from tramontane.sampling.text import parse_chain
from tramontane_plugin_llm.samplers import SAMPLERS, chain_of

REPETITION, K, P, T = (
    "repetition:penalty=1.3:last_n=64", "top_k:k=40:min_keep=1", "top_p:p=0.95",
    "temperature:t=0.8",
)  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "chain"),
    [
        ([], f"{REPETITION}/{K}/{P}/{T}"),
        (["temperature:0.5"], f"{REPETITION}/{K}/{P}/temperature:t=0.5"),
        # whatever the order in the text, and cut short
        (["Top-P:p=0.5/topk:10 temp-erature:temp=1"],
         f"{REPETITION}/top_k:k=10:min_keep=1/top_p:p=0.5/temperature:t=1.0"),
        (["repetition:last=8", "repetition:1.1"],
         "repetition:penalty=1.3:last_n=8/repetition:penalty=1.1:last_n=64"
         f"/{K}/{P}/{T}"),
        (["top_k:5", "top_k:6"], f"{REPETITION}/top_k:k=6:min_keep=1/{P}/{T}"),
        (["freq_presence:freq=0.5:pres=1"],
         f"{REPETITION}/frequency_presence:frequency=0.5:presence=1.0:last_n=64/{K}/{P}/{T}"),
        (["locally_typical:0.2:min_keep=1//tail-free"],
         f"{REPETITION}/{K}/tail_free:z=1.0/typical:p=0.2/{P}/{T}"),
        (["mirostat2"], f"{REPETITION}/{T}/mirostat2:eta=0.1:tau=5.0"),
        (["mirostat1:tau=3:mu=6"], f"{REPETITION}/{T}/mirostat1:eta=0.1:tau=3.0"),
    ],
)  # fmt: skip
def test_chains_have_llm_s_order_and_defaults(texts: list[str], chain: str) -> None:
    assert chain_of(texts) == chain
    parse_chain(chain, Registry().all(Sampler))


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_and_option_is_one_of_ours(name: str) -> None:
    parse_chain(chain_of([name]), Registry().all(Sampler))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("topq", "there is no sampler 'topq'; samplers: repetition, freqpresence"),
        ("top_k:x=1", "there is no option 'x'; options: k, min_keep"),
        ("seq_repetition:m=1", "'m' may mean min_length or max_merge"),
        ("top_k:k=a", "k='a' must be a whole number"),
        ("top_p:a", "p='a' must be a number"),
        ("top_p:nan", "p='nan' is out of range"),
        ("top_k:1:2", "'2' must be option=value"),
        ("greedy:1", "'1' must be option=value"),
        ("top_p:min_keep=3", "min_keep can only be 1 here"),
        ("mirostat2:mu=3", "mu begins with 2 tau, 10; leave it out"),
        ("mirostat1/mirostat2", "mirostat1 and mirostat2 exclude each other; keep one"),
        ("mirostat1/top_k/tail_free", "so it excludes top_k, tail_free"),
    ],
)
def test_what_cannot_be_is_said(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        chain_of([text])
    assert said in str(caught.value)
    assert str(caught.value).startswith("--sampler")
