"""A writable folder, and commands that run in it and reach little else."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tramontane.agent.deleting import delete
from tramontane.errors import UsageError

from .begin import Place, begin
from .errors import NoSandbox
from .gathering import Gathering
from .kinds import OFF, candidates
from .limits import Limits
from .running import Ended, Running, Stop


@dataclass(frozen=True)
class Finished:
    """stdout, stderr: the beginning and the end of what was written. seconds: by the clock."""

    ended: Ended
    stdout: str
    stderr: str
    seconds: float


class Sandbox:
    """A context manager; its folder goes with it, unless it was given."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        kind: str = "auto",
        network: bool = False,
        read: Sequence[Path] = (),
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """folder: the one that is writable; None: a new one. kind: auto, bubblewrap, namespaces,
        seatbelt or off. network: all of this machine's network. read: paths that are readable
        besides the system's programs and Python. environment: variables besides the usual ones.

        Where root starts it, the program is the user nobody, and the folder becomes nobody's.
        Raises NoSandbox, and UsageError for a kind or a path that cannot be.
        """
        self.limits = limits or Limits()
        self.network = network
        self.kind = _first_that_works(kind)
        for path in read:
            if not path.exists():
                raise UsageError(f"the sandbox cannot show {path}: it does not exist")
        self._private = Path(tempfile.mkdtemp(prefix="tramontane-sandbox-")).resolve()
        try:
            self.folder = Path(folder).resolve() if folder else self._private / "folder"
            self.folder.mkdir(parents=True, exist_ok=True)
            self._place = Place(
                kind=self.kind,
                folder=self.folder,
                private=self._private,
                network=network,
                read=tuple(path.resolve() for path in read),
                environment=dict(environment or {}),
            )
        except OSError as error:
            self.close()
            raise UsageError(f"the sandbox's folder {folder}: {error}") from error

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the folder, unless it was given. What runs is not ended by it."""
        delete(self._private)

    def start(self, command: Sequence[str], *, replies: bool = False) -> Running:
        """Begin a program; its caller reads, stops and closes it. replies: it gets a pipe as its
        descriptor 3. Raises NoSandbox."""
        return begin(self._place, command, self.limits, replies=replies)

    def python(self, code: str, *arguments: str) -> list[str]:
        """The command that runs a text of Python inside, with the installed packages. The first of
        its arguments is the folder inside that this package is in."""
        return [self._place.interpreter, "-S", "-s", "-P", "-c", code, self._place.ours, *arguments]

    def run(
        self,
        command: Sequence[str],
        *,
        data: bytes = b"",
        seconds: float | None = None,
        stop: Stop | None = None,
    ) -> Finished:
        """Run a program to its end. data: its standard input. seconds: instead of the limit's.
        stop: ends it from another thread.

        Its processes are all gone when this returns. Raises NoSandbox, and UsageError for a
        command without words.
        """
        if not command or "\0" in "".join(command):
            raise UsageError("a sandbox's command: at least one word, and no zero bytes")
        begun = time.monotonic()
        running = self.start(command)
        try:
            if stop is not None:
                stop.of(running)
            limits = self.limits
            gathering = Gathering(running, kept=limits.output, flood=limits.flood)
            allowed = limits.seconds if seconds is None else seconds
            what = gathering.gather(allowed, data, close_input=True)
            if what != "ended":
                running.stop()
                gathering.drain(0)
            ended = running.ended(gathering.err.text())
            if what == "time":
                ended = Ended("time", why=f"{allowed:g} seconds were over")
            elif what == "output":
                ended = Ended("output", why=f"more than {limits.flood} bytes of output")
            took = time.monotonic() - begun
            return Finished(ended, gathering.out.text(), gathering.err.text(), took)
        finally:
            running.close()


def _first_that_works(wanted: str) -> str:
    reasons = []
    for kind in candidates(wanted):
        if not (why := _trouble(kind)):
            return kind
        reasons.append(f"{kind}: {why}")
    raise NoSandbox(f"this machine gives no sandbox: {'; '.join(reasons)}", hint=OFF)


@functools.cache
def _trouble(kind: str) -> str:
    """Why a sandbox of this kind cannot be begun, "" if it can: one is tried, once."""
    if kind == "off":
        return ""
    with tempfile.TemporaryDirectory(prefix="tramontane-sandbox-") as private:
        real = Path(private).resolve()
        place = Place(kind=kind, folder=real, private=real)
        try:
            running = begin(place, ["/bin/sh", "-c", "exit 0"], Limits(), replies=False)
        except OSError as error:
            return str(error)
        try:
            gathering = Gathering(running, kept=4096, flood=1 << 20)
            gathering.gather(10.0, close_input=True)
            ended = running.ended(gathering.err.text())
            return "" if (ended.how, ended.status) == ("exit", 0) else f"{ended.how}: {ended.why}"
        except NoSandbox as error:
            return error.message
        finally:
            running.close()
