"""`--device`: where to run; `--device list` prints what there is, and why something is not."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

LIST = "list"


class DeviceOption(argparse.Action):
    """Takes a device's name, or prints all and ends."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values == LIST:
            for line in lines():
                print(line)
            parser.exit()
        setattr(namespace, self.dest, values)


def lines() -> list[str]:
    """A line for each device of each installed backend, and for what one lacks."""
    from tramontane.doctor.extensions import devices
    from tramontane.registry import Registry

    found = devices(Registry.from_environment())
    return [f"{each.message}{f'; {each.remedy}' if each.remedy else ''}" for each in found]
