"""A rank that another process has begun: loads its share, and follows rank 0 until it ends.

Started as `python -m tramontane.parallel.worker`, with a `Spec` on its standard input.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from tramontane.errors import TramontaneError

from .group import PeerLost
from .spec import FAILED, LOADED, Spec


def main() -> int:
    """The process's exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever began it will end it
    spec = Spec.read(sys.stdin.buffer)
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # nothing else may be on that pipe
    try:
        from .joining import load_share

        share = load_share(spec)
    except (TramontaneError, OSError, RuntimeError, ValueError, MemoryError) as error:
        first = str(error).strip().replace("\n", " ") or type(error).__name__
        print(FAILED, first, file=said, flush=True)
        return 1
    print(LOADED, file=said, flush=True)
    if not sys.stdin.buffer.readline():
        return 1
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        share.follow()
    except PeerLost as error:
        sys.stderr.write(f"tramontane: rank {spec.rank}: {error}\n")
        return 1
    return 0


def _end_with_parent() -> None:
    """End at once when the process that began this one is gone."""
    while os.read(0, 4096):  # not by `sys.stdin`, whose lock the interpreter's end asks for
        pass
    threading.Event().wait(2.0)  # it may just have said that this is the end
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
