"""How the ranks of one machine meet, and come by memory that they share.

Rank 0 listens at a socket in a folder that only its user can enter, makes memory and a socket for
each pair of other ranks, both without a name, and hands them over. So nothing is left behind by
ranks that are killed, and who is killed ends its sockets.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tramontane.errors import UsageError
from tramontane.parallel.group import PeerLost
from tramontane.parallel.handshake import Caller, Stranger, answer, call
from tramontane.parallel.meeting import Meeting

AGAIN = 0.02
"""Seconds between attempts to connect."""
BRIEF = 5.0
"""Seconds that one who has connected has to say who it is."""
MEMORY = b"M"
"""Goes with the memory and the sockets."""


@dataclass(frozen=True)
class Segment:
    """Shared memory, and a socket to each other rank."""

    memory: mmap.mmap
    sockets: dict[int, socket.socket]


def meet(meeting: Meeting, nbytes: int) -> Segment:
    """With all ranks. Raises PeerLost, UsageError."""
    if not hasattr(socket, "AF_UNIX") or not hasattr(socket, "send_fds"):
        raise UsageError("interconnect shm needs Unix; 'gloo' works elsewhere")
    if not meeting.port and meeting.folder is None and meeting.size > 1:
        raise UsageError("interconnect shm needs a folder or a port, where the ranks meet")
    until = time.monotonic() + meeting.time_limit
    path = (meeting.folder or _folder()) / f"ranks-{meeting.port}"
    made: list[socket.socket] = []
    try:
        if meeting.rank == 0:
            return _lead(path, meeting, nbytes, until, made)
        return _follow(path, meeting, nbytes, until, made)
    except BaseException:
        for each in made:
            each.close()
        raise


def _lead(
    path: Path, meeting: Meeting, nbytes: int, until: float, made: list[socket.socket]
) -> Segment:
    size = meeting.size
    found: dict[int, socket.socket] = {}
    with _listening(path) as server:
        while len(found) < size - 1:
            server.settimeout(max(0.001, until - time.monotonic()))
            try:
                connection, _ = server.accept()
            except OSError as error:
                absent = ", ".join(str(n) for n in range(1, size) if n not in found)
                raise PeerLost(
                    f"of {size} ranks these have not come within {meeting.time_limit:g} s: {absent}"
                ) from error
            made.append(connection)
            try:
                who = answer(connection, meeting.secret, time.monotonic() + BRIEF)
            except (Stranger, OSError):
                connection.close()
                continue
            if who.size != size or not 0 < who.rank < size or who.rank in found:
                raise UsageError(
                    f"rank {who.rank} of {who.size} came to a group of {size} ranks"
                    + (", twice" if who.rank in found else "")
                )
            found[who.rank] = connection
    with _memory(nbytes, path.parent) as file:
        theirs: dict[int, dict[int, socket.socket]] = {rank: {} for rank in found}
        for low in found:
            for high in found:
                if low < high:
                    theirs[low][high], theirs[high][low] = socket.socketpair()
        for rank, connection in found.items():
            pairs = [theirs[rank][other] for other in sorted(theirs[rank])]
            try:
                socket.send_fds(connection, [MEMORY], [file, *(each.fileno() for each in pairs)])
            except OSError as error:
                raise PeerLost(f"rank {rank} is gone: {error.strerror or error}") from error
            finally:
                for each in pairs:
                    each.close()
        return Segment(mmap.mmap(file, nbytes), found)


def _follow(
    path: Path, meeting: Meeting, nbytes: int, until: float, made: list[socket.socket]
) -> Segment:
    me, why = Caller(meeting.rank, meeting.size), "it is not there"
    while time.monotonic() < until:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(max(0.001, until - time.monotonic()))
            connection.connect(str(path))
            call(connection, me, meeting.secret, min(until, time.monotonic() + BRIEF))
            break
        except (Stranger, OSError) as error:
            connection.close()
            why = str(error)
            time.sleep(AGAIN)
    else:
        raise PeerLost(f"rank 0 cannot be reached within {meeting.time_limit:g} s: {why}")
    made.append(connection)
    others = [rank for rank in range(1, meeting.size) if rank != meeting.rank]
    try:
        connection.settimeout(max(0.001, until - time.monotonic()))
        _, files, _, _ = socket.recv_fds(connection, 1, 1 + len(others))
    except OSError as error:
        raise PeerLost(f"rank 0 is gone: {error.strerror or error}") from error
    if len(files) != 1 + len(others):
        for file in files:
            os.close(file)
        raise PeerLost("rank 0 is gone: another rank has not come to it in time")
    found = {0: connection}
    for rank, file in zip(others, files[1:], strict=True):
        found[rank] = socket.socket(fileno=file)
        made.append(found[rank])
    try:
        if os.fstat(files[0]).st_size != nbytes:
            raise PeerLost("rank 0 shares memory of another size: do all run the same version?")
        return Segment(mmap.mmap(files[0], nbytes), found)
    finally:
        os.close(files[0])


@contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        with contextlib.suppress(FileNotFoundError):
            with socket.socket(socket.AF_UNIX) as other:
                if other.connect_ex(str(path)) == 0:
                    raise UsageError(
                        f"the ranks of another model meet at {path}: take another port"
                    )
            path.unlink()
        try:
            server.bind(str(path))
        except OSError as error:
            raise UsageError(f"cannot listen at {path}: {error.strerror or error}") from error
        try:
            server.listen()
            yield server
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def _memory(nbytes: int, folder: Path) -> Iterator[int]:
    """A file without a name."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("tramontane-ranks", os.MFD_CLOEXEC)
    else:
        file, name = tempfile.mkstemp(dir=folder)
        os.unlink(name)
    try:
        os.truncate(file, nbytes)
        yield file
    finally:
        os.close(file)


def _folder() -> Path:
    """Where only this user can enter. Raises UsageError where another has made it."""
    path = Path(tempfile.gettempdir()) / f"tramontane-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UsageError(f"{path} must be a folder of this user that no other can enter")
    return path
