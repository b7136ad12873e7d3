"""Where a sandbox begins: `main` is run by a bare interpreter, with three pipes."""

from __future__ import annotations

import marshal
import os
import signal
import sys

from . import namespaces, syscalls, view
from .keeper import keep, tell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .policy import End, Policy


def main() -> None:
    """Arguments: the descriptors of life, report and reply, as `keep` has them. `life` begins
    with the policy's length in eight digits, and the policy."""
    life, report, reply = (int(each) for each in sys.argv[1:4])
    for place in (life, report, reply):
        if place >= 0:
            os.set_inheritable(place, False)
    policy: Policy = marshal.loads(_policy(life))
    try:
        if policy["kind"] == "namespaces":
            namespaces.enter(network=policy["network"])
            child = os.fork()
            if child:
                os.close(life)
                os.waitpid(child, 0)
                os._exit(0)
            syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
            view.build(
                policy["read"],
                policy["links"],
                policy["texts"],
                (policy["folder_outside"], policy["folder"]),
                policy["limits"]["temporary"],
            )
        keep(policy, life, report, reply)
    except (OSError, ValueError) as error:
        end: End = {"how": "refused", "why": str(error)}
        tell(report, end)
    finally:
        sys.stdout.flush()
        os._exit(0)


def _policy(place: int) -> bytes:
    """As many bytes as the first eight say, and nothing of what follows them."""
    size, found = int(os.read(place, 8) or b"0"), b""
    while len(found) < size:
        some = os.read(place, size - len(found))
        if not some:
            os._exit(0)
        found += some
    return found
