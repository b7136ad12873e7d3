"""What the suffix drafter proposes, from the text and from earlier answers."""

import random
import sys
import threading

import pytest
from tramontane.errors import UsageError
from tramontane.sampling import History
from tramontane_plugin_drafts.automaton import Automaton
from tramontane_plugin_drafts.suffix import LARGEST, LONGEST, Suffix, build


def suffix_drafter(n: int = 2, tokens: int = 1000) -> Suffix:
    return build({"n": n, "tokens": tokens})


@pytest.mark.parametrize(
    ("prompt", "output", "count", "expected"),
    [
        ([1, 2, 3, 4, 5], [1, 2], 3, [3, 4, 5]),
        ([1, 2, 3], [2], 3, []),  # one token is too few
        ([9, 1, 2, 3, 8, 1, 2, 4], [9, 1, 2], 1, [3]),  # the longest before the newest
        ([1, 2, 3, 8, 1, 2, 4, 7], [1, 2], 1, [4]),  # of equal ones the newest
        ([1, 2, 3], [1, 2, 3, 1, 2], 5, [3, 1, 2, 3, 1]),  # beyond the end it repeats
        ([7, 7], [7], 4, [7, 7, 7, 7]),
        ([1], [], 4, []),
    ],
)
def test_what_followed_in_the_text(
    prompt: list[int], output: list[int], count: int, expected: list[int]
) -> None:
    guesses = suffix_drafter().begin()
    assert guesses.propose(History(prompt, output), count) == expected


def test_what_followed_in_earlier_answers() -> None:
    drafter = suffix_drafter()
    first = drafter.begin()
    first.propose(History([1, 2], [5, 6]), 1)
    first.end(History([1, 2], [5, 6, 7, 8, 9]))  # type: ignore[attr-defined]
    other = drafter.begin()
    history = History([3, 1, 2], [5])
    assert other.propose(history, 2) == [6, 7]
    history.output.append(6)
    assert other.propose(history, 9) == [7, 8, 9]  # and no further than it went
    history.output.append(4)
    assert other.propose(history, 9) == []


def longest(text: list[int], suffix: list[int]) -> int:
    """The definition: the length of the longest suffix of one that occurs in the other."""
    for size in range(len(suffix), 0, -1):
        tail = suffix[-size:]
        if any(text[at : at + size] == tail for at in range(len(text) - size + 1)):
            return size
    return 0


@pytest.mark.parametrize("seed", range(10))
def test_the_automaton_finds_what_the_definition_says(seed: int) -> None:
    rng = random.Random(seed)
    automaton, text, other = Automaton(), [], []
    state = length = 0
    for _ in range(120):
        token = rng.randrange(3)
        text.append(token)
        automaton.add(token)
        size, place = automaton.earlier
        assert size == longest(text[:-1], text) or text[:-1] == []
        assert text[place + 1 - size : place + 1] == text[len(text) - size :]
        if rng.random() < 0.6:  # another text follows while it grows
            other.append(rng.randrange(3))
            state, length = automaton.walk(state, length, other[-1])
            assert length <= longest(text, other)
            end = automaton.end(state, length)
            assert text[end + 1 - length : end + 1] == other[len(other) - length :]


@pytest.mark.parametrize("seed", range(5))
def test_a_text_that_does_not_grow_is_found_whole(seed: int) -> None:
    rng = random.Random(seed)
    automaton, text, other = Automaton(), [rng.randrange(4) for _ in range(80)], []
    for token in text:
        automaton.add(token)
    state = length = 0
    for _ in range(80):
        other.append(rng.randrange(4))
        state, length = automaton.walk(state, length, other[-1])
        assert length == longest(text, other)


def test_memory_is_bounded() -> None:
    drafter = suffix_drafter(tokens=100)
    rng = random.Random(0)
    for _ in range(200):
        guesses = drafter.begin()
        history = History([1], [rng.randrange(50) for _ in range(rng.randrange(300))])
        guesses.propose(history, 4)
        guesses.end(history)  # type: ignore[attr-defined]
        assert sum(len(each) for each in drafter.answers.automata) <= 100
    states = sum(len(each._next) for each in drafter.answers.automata)
    assert states <= 2 * 100 + 2


def test_requests_that_run_while_others_are_forgotten() -> None:
    drafter = suffix_drafter(tokens=60)
    running, history = drafter.begin(), History([1, 2], [])
    rng = random.Random(1)
    for _ in range(100):
        history.output.append(rng.randrange(4))
        found = running.propose(history, 5)
        assert all(token >= 0 for token in found)
        other = drafter.begin()
        other.end(History([], [rng.randrange(4) for _ in range(20)]))  # type: ignore[attr-defined]


def test_threads() -> None:
    drafter, errors = suffix_drafter(tokens=400), []

    def ask(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(10):
                guesses, history = drafter.begin(), History([rng.randrange(5)], [])
                for _ in range(30):
                    history.output.append(rng.randrange(5))
                    guesses.propose(history, 4)
                guesses.end(history)  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is none of this thread's
            errors.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0, "tokens": 5}, "n=0"),
        ({"n": LONGEST + 1, "tokens": 5}, f"n={LONGEST + 1}"),
        ({"n": 2, "tokens": -1}, "tokens=-1"),
        ({"n": 2, "tokens": LARGEST + 1}, f"tokens={LARGEST + 1}"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(options)
