"""What guesses tokens without a model."""

from collections.abc import Iterable

from tramontane.plugin import Drafter, hookimpl


@hookimpl
def drafters() -> Iterable[Drafter]:
    """By what the text repeats of itself, and of earlier answers."""
    yield Drafter(
        name="ngram",
        options={"n": 3, "m": 5},
        build="tramontane_plugin_drafts.ngram:build",
    )
    yield Drafter(
        name="suffix",
        options={"n": 2, "tokens": 50_000},
        build="tramontane_plugin_drafts.suffix:build",
    )
