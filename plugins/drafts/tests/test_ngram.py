"""What prompt lookup proposes."""

import random

import pytest
from tramontane.errors import UsageError
from tramontane.sampling import History
from tramontane_plugin_drafts.ngram import LONGEST, build


def propose(prompt: list[int], output: list[int], count: int, n: int = 2, m: int = 3) -> list[int]:
    return list(build({"n": n, "m": m}).begin().propose(History(prompt, output), count))


@pytest.mark.parametrize(
    ("prompt", "output", "count", "expected"),
    [
        ([1, 2, 3, 4, 5], [1, 2], 3, [3, 4, 5]),
        ([1, 2, 3, 4, 5], [1, 2], 2, [3, 4]),
        ([1, 2, 3], [2], 3, []),  # one token is too few
        ([9, 1, 2, 3, 8, 1, 2, 4], [9, 1, 2], 1, [3]),  # the longest before the newest
        ([1, 2, 3, 8, 1, 2, 4, 7], [1, 2], 1, [4]),  # of equal ones the newest
        ([1, 2, 3], [1, 2, 3, 1, 2], 5, [3, 1, 2, 3, 1]),  # beyond the end it repeats
        ([7, 7], [7], 4, [7, 7, 7, 7]),
        ([1], [], 4, []),
    ],
)
def test_what_followed_the_longest_suffix(
    prompt: list[int], output: list[int], count: int, expected: list[int]
) -> None:
    assert propose(prompt, output, count) == expected


def plainly(tokens: list[int], count: int, n: int, m: int) -> list[int]:
    """The definition, without an index."""
    for size in range(m, n - 1, -1):
        for end in range(len(tokens) - 1, size - 1, -1):
            if tokens[end - size : end] == tokens[len(tokens) - size :]:
                found = list(tokens)
                for place in range(count):
                    found.append(found[end + place])
                return found[len(tokens) :]
    return []


@pytest.mark.parametrize("seed", range(20))
def test_an_index_that_grows_finds_what_the_definition_says(seed: int) -> None:
    rng = random.Random(seed)
    n = rng.randrange(1, 4)
    m = rng.randrange(n, 6)
    history = History([rng.randrange(4) for _ in range(rng.randrange(1, 30))], [])
    guesses = build({"n": n, "m": m}).begin()
    for _ in range(40):
        history.output.extend(rng.randrange(4) for _ in range(rng.randrange(1, 4)))
        count = rng.randrange(1, 9)
        expected = plainly([*history.prompt, *history.output], count, n, m)
        assert list(guesses.propose(history, count)) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [({"n": 0, "m": 5}, "n=0"), ({"n": 6, "m": 5}, "m=5"), ({"n": 3, "m": LONGEST + 1}, "m=33")],
)
def test_what_cannot_be_is_refused(options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        build(options)
