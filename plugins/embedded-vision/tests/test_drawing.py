"""Pictures, and questions about them with their answers."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from pictures import COLOURS, DIGITS, SHAPES, UNSEEN, Thing, main, scene, squeezed
from questions import KINDS, ask, listed
from talks import PICTURE, ROW, talk


def test_a_seed_is_a_picture() -> None:
    one, same, other = (scene(seed) for seed in (3, 3, 4))
    assert one.things == same.things
    assert np.array_equal(squeezed(one.image, 64), squeezed(same.image, 64))
    assert one.things != other.things


def test_everything_is_drawn() -> None:
    things = [thing for seed in range(400) for thing in scene(seed).things]
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.shape for thing in things} == {*SHAPES, *DIGITS}


def test_every_thing_has_its_colour_somewhere() -> None:
    for seed in range(UNSEEN, UNSEEN + 60):
        drawn = scene(seed)
        pixels = np.asarray(drawn.image).astype(int)
        for thing in drawn.things:
            away = np.abs(pixels - COLOURS[thing.colour]).max(-1)
            assert (away <= 16 + 18).sum() > 20, (seed, thing)


TWO = (Thing("orange", "star"), Thing("blue", "7"))


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("what", {"an orange star and a blue digit 7"}),
        ("colour", {"orange and blue", "orange", "blue"}),
        ("shape", {"a star and a digit 7", "a star", "a digit 7"}),
        ("digit", {"7"}),
        ("count", {"two"}),
        ("where", {"an orange star", "a blue digit 7"}),
        ("whether", {"yes", "no"}),
    ],
)
def test_answers(kind: str, answers: set[str]) -> None:
    rng = Random(1)
    asked = [ask(TWO, rng, kind) for _ in range(200)]
    assert {answer for _, answer in asked} == answers
    assert not any("{" in question for question, _ in asked)


def test_yes_and_no_are_right() -> None:
    rng = Random(2)
    for _ in range(300):
        question, answer = ask(TWO, rng, "whether")
        said = question.lower()
        named = [thing for thing in TWO if thing.noun in said]
        hues = [hue for hue in COLOURS if hue in said]
        right = any(not hues or thing.colour in hues for thing in named)
        assert (answer == "yes") == right, question


def test_lists() -> None:
    assert [listed(["a", "b", "c"][:count]) for count in (1, 2, 3)] == [
        "a",
        "a and b",
        "a, b and c",
    ]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_conversation_shows_each_picture_once(count: int) -> None:
    for seed in range(40):
        pieces = talk([TWO] * count, Random(seed), turns=3)
        whole = "".join(text for text, _ in pieces)
        assert whole.count(PICTURE) == count
        assert whole.count(ROW) == 16 * count
        learnt = [text for text, yes in pieces if yes]
        assert all(text.endswith("<|im_end|>") for text in learnt)


def test_every_kind_is_asked() -> None:
    assert set(KINDS) == {"what", "colour", "shape", "digit", "count", "where", "whether"}


def test_the_command_draws_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pictures.py", "--out", str(tmp_path / "drawn"), "-n", "2"])
    main()
    named = capsys.readouterr().out.splitlines()
    assert len(named) == 2
    assert all(Path(path).is_file() for path in named)
