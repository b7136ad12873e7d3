"""The sampler step of structured output."""

from collections.abc import Iterable

from tramontane.plugin import Sampler, hookimpl


@hookimpl
def samplers() -> Iterable[Sampler]:
    """One step: after biases (below 50), before penalties, so that no token comes back."""
    yield Sampler(
        name="grammar",
        order=50,
        options={"grammar": None},
        fields={"grammar": "grammar"},
        build="tramontane_plugin_grammar.step:build",
        ready="tramontane_plugin_grammar.step:make_ready",
    )
