"""The chain: its text form, which steps a request switches on, and the draw."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tramontane.errors import PluginNotInstalled, RequestError
from tramontane.plugin import Sampler
from tramontane.sampling import Candidates, History, SamplerContext, Step
from tramontane.sampling.chain import Chain, build_chain, parse_chain
from tramontane.sampling.draw import BLOCK, locate
from tramontane.sampling.largest import largest
from tramontane.sampling_params import SamplingParams

CONTEXT = SamplerContext(
    vocab_size=4,
    seed=7,
    context_length=64,
    eos_ids=frozenset(),
    encode=lambda text: [ord(character) for character in text],
    decode=lambda ids: "".join(map(chr, ids)),
)


class Recorded:
    """A step that changes nothing but remembers its name and options."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name, self.options = name, options

    def __call__(self, candidates: Candidates, history: History) -> Candidates:
        return candidates


def build(options: dict[str, Any], context: SamplerContext) -> Step | None:
    name = options["name"]
    return None if options.get("k") == 0 else Recorded(name, options)


def offer(name: str, order: int, fields: dict[str, str] | None = None, **options: Any) -> Sampler:
    return Sampler(
        name=name,
        order=order,
        aliases=(f"{name}_alias",),
        options={**options, "name": name},
        fields=fields or {},
        build="tramontane_chain_test:build",
    )


OFFERS = [
    offer("top_k", 110, {"top_k": "k"}, k=40, min_keep=1),
    offer("repetition", 60, {"repetition_penalty": "penalty"}, penalty=1.3, last_n=64),
    offer("temperature", 200, {"temperature": "t"}, t=0.8),
    offer("mirostat2", 310, {"mirostat": "k"}, k=2, tau=5.0, eta=0.1),
    offer("mirostat1", 300, {}, k=2, tau=5.0, eta=0.1),
    offer("odd", 150, {}, size=1, sigma=1.0, words="a"),
]


@pytest.fixture(autouse=True)
def target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the offers' target importable, wherever pytest put this module."""
    import sys
    from types import ModuleType

    module = ModuleType("tramontane_chain_test")
    module.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tramontane_chain_test", module)


def steps(chain: Chain) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for step in chain.steps:
        assert isinstance(step, Recorded)
        found.append((step.name, {k: v for k, v in step.options.items() if k != "name"}))
    return found


def logits(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def parsed(text: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        (found.name, {k: v for k, v in options.items() if k != "name"})
        for found, options in parse_chain(text, OFFERS)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "top_k:7",
        "topk:7",
        "TOP-K:7",
        "top_k:k=7",
        "top_k:K=7",
        "/top_k:7//",
        "  top_k:7  ",
        "top_k_alias:7",
        "topk:7:",
    ],
)
def test_one_entry_has_many_spellings(text: str) -> None:
    assert parsed(text) == [("top_k", {"k": 7, "min_keep": 1})]


def test_entries_keep_their_order_and_take_defaults() -> None:
    assert parsed("temperature/top_k:k=3:min_keep=2 repetition:l=9:p=1.5\nrepetition") == [
        ("temperature", {"t": 0.8}),
        ("top_k", {"k": 3, "min_keep": 2}),
        ("repetition", {"penalty": 1.5, "last_n": 9}),
        ("repetition", {"penalty": 1.3, "last_n": 64}),
    ]


def test_the_first_option_goes_without_its_name_before_others() -> None:
    assert parsed("top_k:3:min=2") == [("top_k", {"k": 3, "min_keep": 2})]
    assert parsed("odd:w=MiXed=x") == [("odd", {"size": 1, "sigma": 1.0, "words": "MiXed=x"})]


@pytest.mark.parametrize("text", ["", " ", "//", " / "])
def test_blank_text_is_no_sampler(text: str) -> None:
    assert parsed(text) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("top_q:1", "there is no sampler 'top_q'; did you mean 'top_k'? installed: mirostat1, "),
        (":5", "there is no sampler ''; installed: "),
        ("top_k:m1n=1", "sampler 'top_k' has no option 'm1n'; it takes 'k', 'min_keep', 'name'"),
        ("repetition:penalti=1", "no option 'penalti'; did you mean 'penalty'?"),
        ("odd:s=1", "sampler 'odd': 's' may mean 'size', 'sigma'; write more of it"),
        ("top_k:=3", "has no option ''"),
        ("top_k:3:4", "sampler 'top_k:3:4': '4' must be option=value; it takes 'k'"),
        ("top_k:3:k=4", "the option 'k' is given twice"),
        ("top_k:x", "sampler 'top_k': k='x' must be a whole number"),
        ("top_k:1.5", "k='1.5' must be a whole number"),
        ("temperature:hot", "t='hot' must be a number"),
        ("temperature:nan", "t='nan' must be finite"),
        ("temperature:inf", "t='inf' must be finite"),
    ],
)
def test_a_wrong_entry_is_named_with_what_would_be_right(text: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        parsed(text)
    assert said in str(caught.value)


@given(st.text(alphabet="topk_:=/ 1.-e\n", max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(RequestError):
        parse_chain(text, OFFERS)


def test_fields_run_by_their_order_with_resting_values_elsewhere() -> None:
    chain = build_chain(
        SamplingParams(temperature=0.5, top_k=3, repetition_penalty=1.2), OFFERS, CONTEXT
    )
    assert steps(chain) == [
        ("repetition", {"penalty": 1.2, "last_n": 64}),
        ("top_k", {"k": 3, "min_keep": 1}),
        ("temperature", {"t": 0.5}),
    ]


def test_an_unset_field_of_a_switched_sampler_changes_nothing() -> None:
    both = offer("both", 90, {"dry_multiplier": "m", "dry_base": "b"}, m=0.8, b=3.0)
    chain = build_chain(SamplingParams(dry_base=2.0), [both], CONTEXT)
    assert steps(chain) == [("both", {"m": 0.0, "b": 2.0})]


def test_the_text_keeps_its_order_and_fields_slip_in_by_theirs() -> None:
    params = SamplingParams(sampler="temperature:0.5/top_k:3", repetition_penalty=1.2)
    assert [name for name, _ in steps(build_chain(params, OFFERS, CONTEXT))] == [
        "repetition",
        "temperature",
        "top_k",
    ]


def test_extra_names_samplers_without_fields() -> None:
    params = SamplingParams(extra={"odd": {"size": 3}}, temperature=1.0)
    assert ("odd", {"size": 3, "sigma": 1.0, "words": "a"}) in steps(
        build_chain(params, OFFERS, CONTEXT)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sampler": "top_k:3", "top_k": 4}, "'top_k' is set twice, in sampler='top_k:3' and"),
        ({"extra": {"top_k": {"k": 3}}, "top_k": 4}, "'top_k' is set twice, in extra['top_k']"),
        ({"extra": {"odd": {"siez": 3}}}, "no option 'siez'; did you mean 'size'?"),
        ({"extra": {"ood": {}}}, "there is no sampler 'ood'; did you mean 'odd'?"),
        ({"sampler": "mirostat1/mirostat2"}, "mirostat1 and mirostat2 exclude each other"),
        ({"sampler": "top_k/mirostat2"}, "mirostat2 finds by itself"),
        ({"top_k": 4, "mirostat": 2}, "cannot be combined with top_k"),
    ],
)
def test_contradictions_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        build_chain(SamplingParams(**given), OFFERS, CONTEXT)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "greedy"),
    [
        ({}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": 1.0}, False),
        ({"repetition_penalty": 1.1}, True),
        ({"top_k": 40}, False),
        ({"top_k": 0}, True),
        ({"temperature": 0.0, "top_k": 40}, True),
        ({"sampler": "repetition"}, True),
        ({"sampler": "top_k"}, False),
        ({"sampler": "top_k:0"}, False),
        ({"sampler": "top_k", "temperature": 0}, True),
    ],
)
def test_a_request_is_greedy_unless_something_asks_for_a_draw(
    given: dict[str, Any], greedy: bool
) -> None:
    assert build_chain(SamplingParams(**given), OFFERS, CONTEXT).greedy is greedy


def test_greedy_keeps_penalties_and_drops_the_rest() -> None:
    params = SamplingParams(temperature=0, sampler="top_k", repetition_penalty=1.2)
    assert [name for name, _ in steps(build_chain(params, OFFERS, CONTEXT))] == ["repetition"]


@pytest.mark.parametrize("given", [{"top_p": 0.9}, {"sampler": "top_k"}, {"temperature": 0.7}])
def test_without_the_plugin_its_fields_name_it(given: dict[str, Any]) -> None:
    with pytest.raises(PluginNotInstalled, match="pip install tramontane-plugin-samplers"):
        build_chain(SamplingParams(**given), [], CONTEXT)


def test_core_alone_is_greedy_or_draws_at_temperature_one() -> None:
    assert build_chain(SamplingParams(top_p=1.0, frequency_penalty=0), [], CONTEXT).greedy
    assert build_chain(SamplingParams(temperature=0), [], CONTEXT).greedy
    chain = build_chain(SamplingParams(temperature=1), [], CONTEXT)
    assert not chain.greedy
    assert chain.steps == ()


def test_greedy_takes_the_lowest_id_of_equals() -> None:
    history = History([], [])
    chain = Chain([lambda seen, _: seen.keep(np.array([3, 1, 2]))], seed=0, greedy=True)
    assert Chain([], 0, greedy=True).draw(logits(1, 3, 3, 2), history) == 1
    assert chain.draw(logits(9, 2, 2, 2), history) == 1


def test_the_draw_is_the_inverse_of_the_cumulative_distribution() -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.4])
    uniform = np.random.Generator(np.random.PCG64(11)).random(200)
    expected = np.searchsorted(np.cumsum(probabilities), uniform, side="right")
    chain = Chain([], seed=11)
    drawn = [chain.draw(np.log(probabilities).astype(np.float32), History([], [])) for _ in uniform]
    assert drawn == expected.tolist()


def test_the_order_of_candidates_does_not_matter_to_the_draw() -> None:
    values = np.random.default_rng(0).normal(size=50).astype(np.float32)
    turned = Chain([lambda seen, _: seen.keep(np.arange(49, -1, -1))], seed=3)
    straight = Chain([], seed=3)
    history = History([], [])
    assert [turned.draw(values, history) for _ in range(50)] == [
        straight.draw(values, history) for _ in range(50)
    ]


def test_the_same_seed_draws_the_same_tokens() -> None:
    values = np.random.default_rng(1).normal(size=5000).astype(np.float32)
    first, second = Chain([], seed=5), Chain([], seed=5)
    history = History([], [])
    tokens = [first.draw(values, history) for _ in range(100)]
    assert tokens == [second.draw(values, history) for _ in range(100)]
    assert tokens != [Chain([], seed=6).draw(values, history) for _ in range(100)]


def test_masked_tokens_are_never_drawn() -> None:
    values = np.full(3000, -np.inf, np.float32)
    values[[0, 1500, 2999]] = 0
    chain = Chain([], seed=2)
    drawn = {chain.draw(values, History([], [])) for _ in range(200)}
    assert drawn == {0, 1500, 2999}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("greedy", [True, False])
def test_logits_that_are_no_numbers_are_refused(bad: float, greedy: bool) -> None:
    with pytest.raises(RequestError, match=f"the model computed {bad} among the logits"):
        Chain([], 0, greedy).draw(logits(0, bad, 1), History([], []))


@pytest.mark.parametrize("greedy", [True, False])
def test_no_token_left_is_an_error(greedy: bool) -> None:
    with pytest.raises(RequestError, match="forbid every token"):
        Chain([], 0, greedy).draw(logits(-math.inf, -math.inf), History([], []))


@given(
    st.lists(st.sampled_from([0.0, 1e-300, 0.25, 1.0, 3.0]), min_size=1, max_size=9),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, BLOCK),
)
def test_a_position_is_found_across_blocks(
    pattern: list[float], number: float, padding: int
) -> None:
    weights = np.array(([0.0] * padding + pattern) * 3)
    if weights.sum() == 0:
        return
    place = locate(weights, number)
    assert weights[place] > 0
    mass = np.cumsum(weights)
    assert mass[place] >= number * mass[-1] * (1 - 1e-12)
    assert place == 0 or mass[place - 1] <= number * mass[-1] * (1 + 1e-12)


def test_the_last_position_with_a_weight_is_the_last_resort() -> None:
    assert locate(np.array([0.0, 1.0, 1e-30, 0.0]), math.nextafter(1, 0)) == 1


@given(
    st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=40),
    st.integers(1, 50),
    st.integers(1, 500),
)
def test_the_largest_are_those_of_a_full_sort(
    pattern: list[float], count: int, repeats: int
) -> None:
    values = np.array(pattern * repeats, np.float32)
    ids = np.arange(len(values))
    expected = sorted(ids.tolist(), key=lambda i: (-values[i], i))[:count]
    assert largest(values, ids, count).tolist() == sorted(expected)
    turned = Candidates(ids[::-1], values[::-1])
    assert turned.ids[turned.best(count)].tolist() == expected


@pytest.mark.parametrize("count", [1, 40, 1024, 5000])
def test_the_largest_of_a_whole_vocabulary(count: int) -> None:
    values = np.random.default_rng(2).normal(size=20_011).astype(np.float32).round(2)
    expected = np.lexsort((np.arange(len(values)), -values))[:count]
    assert np.array_equal(Candidates.of(values).best(count), expected)
