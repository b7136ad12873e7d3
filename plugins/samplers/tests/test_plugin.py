"""The offers: advertised, ordered, documented, switched on by fields, and strict about values."""

from __future__ import annotations

import math
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tramontane.errors import RequestError
from tramontane.plugin import Sampler
from tramontane.sampling import SamplerContext, Step
from tramontane.sampling.chain import ADAPTIVE, TEMPERATURE, TRUNCATION, build_chain, parse_chain
from tramontane.sampling_params import RESTING, SamplingParams

ROOT = Path(__file__).parents[1]
Build = Callable[..., Step | None]


def test_every_name_is_advertised(offers: dict[str, Sampler]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    advertised = project["entry-points"]["tramontane.samplers"]
    assert set(advertised.values()) == {"tramontane_plugin_samplers.plugin"}
    names = [name for offer in offers.values() for name in (offer.name, *offer.aliases)]
    assert list(advertised) == names


def test_listing_the_offers_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tramontane_plugin_samplers.plugin import samplers; list(samplers()); "
        "sys.exit(bool({'numpy', 'torch', 'pydantic'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_readme_lists_each_in_its_order(offers: dict[str, Sampler]) -> None:
    rows = [line.split("|") for line in (ROOT / "README.md").read_text("utf-8").splitlines()]
    table = [
        (cells[2].strip(), int(cells[1]))
        for cells in rows
        if cells[1:2] and cells[1].strip().isdigit()
    ]
    assert table == [(offer.name, offer.order) for offer in offers.values()]
    assert table == sorted(table, key=lambda row: row[1])


def test_the_bands_of_core_are_kept(offers: dict[str, Sampler]) -> None:
    bands = {
        name: sum(offer.order >= edge for edge in (TRUNCATION, TEMPERATURE, ADAPTIVE))
        for name, offer in offers.items()
    }
    assert [name for name, band in bands.items() if band == 0] == [
        "logit_bias", "suppress", "repetition", "frequency_presence", "seq_repetition", "dry",
    ]  # fmt: skip
    assert [name for name, band in bands.items() if band == 2] == ["temperature", "greedy"]
    assert [name for name, band in bands.items() if band == 3] == ["mirostat1", "mirostat2"]


def test_every_field_of_a_request_is_taken(offers: dict[str, Sampler]) -> None:
    assert {field for offer in offers.values() for field in offer.fields} == set(RESTING) - {
        "grammar"  # of a distribution of its own
    }
    for offer in offers.values():
        assert set(offer.fields.values()) <= set(offer.options)


def test_a_request_of_resting_values_has_no_step(
    offers: dict[str, Sampler], context: Callable[..., SamplerContext]
) -> None:
    params = SamplingParams(**{**RESTING, "dry_sequence_breakers": ["x"]})
    assert build_chain(params, list(offers.values()), context()).steps == ()


@pytest.mark.parametrize(
    "given",
    [
        {"repetition_window": 9}, {"penalty_window": 9}, {"dry_base": 2.0}, {"dry_range": 9},
        {"dry_allowed_length": 3}, {"xtc_threshold": 0.2}, {"mirostat_tau": 3.0},
        {"mirostat_eta": 0.2}, {"dynatemp_exponent": 2.0}, {"top_k": -1},
    ],
)  # fmt: skip
def test_a_field_that_only_refines_switches_nothing_on(
    given: dict[str, Any], offers: dict[str, Sampler], context: Callable[..., SamplerContext]
) -> None:
    assert build_chain(SamplingParams(**given), list(offers.values()), context()).steps == ()


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_is_one_of_two(
    version: int, offers: dict[str, Sampler], context: Callable[..., SamplerContext]
) -> None:
    params = SamplingParams(mirostat=version, mirostat_tau=3.0, temperature=0.7)
    steps = build_chain(params, list(offers.values()), context()).steps
    assert len(steps) == 2
    assert steps[1].tau == 3.0  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["top_k", "top_p", "top_a", "min_p", "typical", "tail_free"])
def test_mirostat_and_truncation_exclude_each_other(
    name: str, offers: dict[str, Sampler], context: Callable[..., SamplerContext]
) -> None:
    text = f"{name}:{3 if name == 'top_k' else 0.5}/mirostat1"
    with pytest.raises(RequestError, match=f"cannot be combined with {name}"):
        build_chain(SamplingParams(sampler=text), list(offers.values()), context())


def test_the_text_of_every_sampler_alone_is_understood(offers: dict[str, Sampler]) -> None:
    for offer in offers.values():
        for name in (offer.name, *offer.aliases):
            assert parse_chain(name, list(offers.values())) == [(offer, dict(offer.options))]
    assert parse_chain("top_k:k=40/top_p:p=0.9", list(offers.values()))[1][1] == {"p": 0.9}


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("top_k", {"k": -2}, "sampler top_k: k=-2 must be a whole number from -1 to"),
        ("top_k", {"k": 1.5}, "k=1.5 must be a whole number"),
        ("top_k", {"k": True}, "k=True must be"),
        ("top_p", {"p": 1.1}, "sampler top_p: p=1.1 must be a number from 0 to 1"),
        ("top_p", {"p": math.nan}, "p=nan must be"),
        ("min_p", {"p": -0.1}, "p=-0.1 must be"),
        ("typical", {"p": "x"}, "p='x' must be"),
        ("tail_free", {"z": 2}, "z=2 must be"),
        ("top_a", {"a1": 2}, "a1=2 must be"),
        ("top_n_sigma", {"n": math.inf}, "n=inf must be"),
        ("xtc", {"threshold": 2.0}, "threshold=2.0 must be"),
        ("temperature", {"t": -1}, "t=-1 must be a number from 0 to 100"),
        ("temperature", {"range": math.inf}, "range=inf must be"),
        ("repetition", {"penalty": 0}, "penalty=0 must be a number from 0.001 to 1000"),
        ("repetition", {"last_n": -2}, "last_n=-2 must be"),
        ("frequency_presence", {"frequency": math.nan}, "frequency=nan must be"),
        ("seq_repetition", {"last_n": 513}, "last_n=513 must be a whole number from 0 to 512"),
        ("dry", {"base": 0.5}, "base=0.5 must be a number from 1 to 100"),
        ("dry", {"breakers": ["a", ""]}, "breakers=['a', ''] must be strings, none of them empty"),
        ("mirostat2", {"eta": 2.0}, "sampler mirostat2: eta=2.0 must be"),
        ("logit_bias", {"bias": "5"}, "bias='5' must be token=bias pairs"),
        ("logit_bias", {"bias": {5: math.nan}}, "bias=nan must be token=bias pairs"),
        ("logit_bias", {"bias": {999: 1.0}}, "token 999 is outside the vocabulary of 128"),
        ("suppress", {"tokens": "1;2"}, "tokens='1;2' must be token ids"),
        ("suppress", {"tokens": [-1]}, "token -1 is outside the vocabulary of 128"),
    ],
)
def test_a_value_out_of_range_is_named(
    build: Build, name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError) as caught:
        build(name, **options)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("logit_bias", {}), ("suppress", {}), ("repetition", {"penalty": 1}),
        ("repetition", {"last_n": 0}), ("frequency_presence", {}), ("seq_repetition", {}),
        ("dry", {"multiplier": 0}), ("top_n_sigma", {"n": 0}), ("top_k", {"k": 0}),
        ("top_k", {"k": 0, "min_keep": 5}), ("tail_free", {}), ("typical", {}), ("top_p", {"p": 1}),
        ("top_a", {}), ("min_p", {}), ("xtc", {"probability": 0}), ("xtc", {"threshold": 0.6}),
        ("temperature", {"t": 1}), ("mirostat1", {"version": 2}), ("mirostat2", {"version": 0}),
    ],
)  # fmt: skip
def test_what_means_off_builds_nothing(build: Build, name: str, options: dict[str, Any]) -> None:
    assert build(name, **options) is None
