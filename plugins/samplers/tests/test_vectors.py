"""Numbers that other implementations agree on: those of the tests of llama.cpp and llm-samplers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., dict[int, float]]
FOUR = [0.1, 0.2, 0.3, 0.4]
FIFTH = [0.2] * 5


@pytest.mark.parametrize(
    ("name", "options", "after"),
    [
        ("temperature", {"t": 1.0}, FOUR),
        ("temperature", {"t": 0.0}, [0, 0, 0, 1]),
        ("temperature", {"t": 1.0, "range": 0.0}, FOUR),
        ("temperature", {"t": 0.0, "range": 0.0}, [0, 0, 0, 1]),
        ("greedy", {}, [0, 0, 0, 1]),
        ("top_k", {"k": 1}, [0, 0, 0, 1]),
        ("top_k", {"k": 3}, [0, 2 / 9, 3 / 9, 4 / 9]),
        ("top_k", {"k": 4}, FOUR),
        ("top_k", {"k": 0}, FOUR),
        ("top_p", {"p": 0.0}, [0, 0, 0, 1]),
        ("top_p", {"p": 0.7}, [0, 0, 3 / 7, 4 / 7]),
        ("top_p", {"p": 0.8}, [0, 2 / 9, 3 / 9, 4 / 9]),
        ("top_p", {"p": 1.0}, FOUR),
        ("min_p", {"p": 0.0}, FOUR),
        ("min_p", {"p": 0.24}, FOUR),
        ("min_p", {"p": 0.26}, [0, 2 / 9, 3 / 9, 4 / 9]),
        ("min_p", {"p": 0.49}, [0, 2 / 9, 3 / 9, 4 / 9]),
        ("min_p", {"p": 0.51}, [0, 0, 3 / 7, 4 / 7]),
        ("min_p", {"p": 0.74}, [0, 0, 3 / 7, 4 / 7]),
        ("min_p", {"p": 0.76}, [0, 0, 0, 1]),
        ("min_p", {"p": 1.0}, [0, 0, 0, 1]),
        ("xtc", {"probability": 1.0, "threshold": 0.09}, [1, 0, 0, 0]),
        ("xtc", {"probability": 1.0, "threshold": 0.19}, [1 / 3, 2 / 3, 0, 0]),
        ("xtc", {"probability": 1.0, "threshold": 0.29}, [1 / 6, 2 / 6, 3 / 6, 0]),
        ("xtc", {"probability": 1.0, "threshold": 0.39}, FOUR),
        ("top_n_sigma", {"n": 1.0}, [0, 0, 3 / 7, 4 / 7]),
        ("top_n_sigma", {"n": 0.0}, FOUR),
        ("top_n_sigma", {"n": 3.0}, FOUR),
        ("logit_bias", {"bias": "3=-inf"}, [1 / 6, 2 / 6, 3 / 6, 0]),
    ],
)
def test_one_to_four_tenths(
    probabilities: Run, name: str, options: dict[str, Any], after: list[float]
) -> None:
    expected = {token: value for token, value in enumerate(after) if value}
    assert probabilities(name, FOUR, **options) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("before", "kept"),
    [([0.97, 0.01, 0.01, 0.01], {0}), ([0.4, 0.2, 0.2, 0.2], {1, 2, 3})],
)
def test_typical_keeps_what_is_expected(
    probabilities: Run, before: list[float], kept: set[int]
) -> None:
    assert set(probabilities("typical", before, p=0.5)) == kept


@pytest.mark.parametrize(("z", "kept"), [(0.25, {4}), (0.75, {4, 3}), (0.99, {4, 3})])
def test_tail_free_on_a_straight_line(probabilities: Run, z: float, kept: set[int]) -> None:
    assert set(probabilities("tail_free", [0.1, 0.15, 0.2, 0.25, 0.3], z=z)) == kept


@pytest.mark.parametrize(
    ("tokens", "after"),
    [
        ([0], [0, 0.25, 0.25, 0.25, 0.25]),
        ([0, 1, 2], [0, 0, 0, 0.5, 0.5]),
        ([0, 1, 2, 0, 0], [0, 0, 0, 0.5, 0.5]),
    ],
)
@pytest.mark.parametrize("place", ["prompt", "output"])
def test_repetition(probabilities: Run, tokens: list[int], after: list[float], place: str) -> None:
    found = probabilities("repetition", FIFTH, penalty=50.0, **{place: tokens})
    assert [found[token] for token in range(5)] == pytest.approx(after, abs=1e-5)


@pytest.mark.parametrize(
    ("tokens", "after"),
    [
        ([0], [0.000011, 0.249997, 0.249997, 0.249997, 0.249997]),
        ([0, 1, 2], [0.000023, 0.000023, 0.000023, 0.499966, 0.499966]),
        ([0, 1, 2, 0, 0], [0.0, 0.000023, 0.000023, 0.499977, 0.499977]),
    ],
)
def test_frequency_and_presence(probabilities: Run, tokens: list[int], after: list[float]) -> None:
    given = {"frequency": 5.0, "presence": 5.0}
    found = probabilities("frequency_presence", FIFTH, output=tokens, **given)
    assert [found[token] for token in range(5)] == pytest.approx(after, abs=1e-5)
    # generated tokens alone count
    assert probabilities("frequency_presence", FIFTH, prompt=tokens, **given) == pytest.approx(
        dict.fromkeys(range(5), 0.2)
    )


@pytest.mark.parametrize(
    ("tokens", "options", "after"),
    [
        ([0, 1], {"allowed_length": 2, "last_n": 4}, [0.25] * 4),
        ([0, 1, 2, 0, 1], {"last_n": 5}, [0.296923, 0.296923, 0.109232, 0.296923]),
        ([0, 1, 3, 4, 0, 1], {"last_n": 6, "breakers": ("\x03",)}, FIFTH),
        (
            [0, 1, 2, 0, 1],
            {"multiplier": 2.0, "last_n": 5},
            [0.241818, 0.241818, 0.032727, 0.241818, 0.241818],
        ),
        ([0, 1, 2, 3, 4, 0, 1], {"allowed_length": 4, "last_n": 7}, FIFTH),
    ],
)
def test_dry(
    probabilities: Run, tokens: list[int], options: dict[str, Any], after: list[float]
) -> None:
    given = {"multiplier": 1.0, "base": 1.1, "breakers": (), **options}
    found = probabilities("dry", [1 / len(after)] * len(after), prompt=tokens, **given)
    assert list(found.values()) == pytest.approx(after, abs=1e-5)
