"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Interconnect, hookimpl


@hookimpl
def interconnects() -> Iterator[Interconnect]:
    """Each rank is connected to the next, the last to the first."""
    yield Interconnect(
        name="ring",
        join="tramontane_plugin_ring.ring:join",
        find="tramontane_plugin_ring.find:find",
        options={"config": "", "secret": "", "bind": "", "wait": ""},
        machines=True,
    )
