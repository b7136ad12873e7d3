"""The process that a program's processes descend from: it sets bounds, starts, watches, ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import sys

from . import bounds, landlock, seccomp, syscalls, view
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .policy import End, Policy

HIGH = 64
"""Descriptors of the sandbox's own are moved above this one, out of the program's way."""
REPLIES = 3
"""Where a program finds the pipe for its replies, if it is given one."""


def keep(policy: Policy, life: int, report: int, reply: int) -> None:
    """Run the policy's command in bounds until it ends, or until `life` is closed.

    life: a byte `i` in this pipe interrupts the program, its end kills it. report: gets an `End`
    as `tell` writes it. reply: becomes the program's descriptor 3; -1 for none.
    """
    life, report = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, HIGH) for each in (life, report))
    _bound(policy)
    waking, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, _nothing)
    child = os.fork()
    if child == 0:
        _become(policy, report, reply)
    _filter(policy)
    end = _wait(child, policy, life, waking)
    if policy["kind"] in ("seatbelt", "none"):
        with contextlib.suppress(OSError):
            os.killpg(child, signal.SIGKILL)
    if end:
        tell(report, end)


def tell(report: int, end: End) -> None:
    """Write an end for the host: a line, without another library's help."""
    why = end.get("why", "").replace("\n", " ")
    os.write(report, f"{end['how']}\t{end.get('status', 0)}\t{why}\n".encode())


def _nothing(number: int, frame: object) -> None:
    """A handler, so that the signal wakes who waits."""


def _bound(policy: Policy) -> None:
    isolated = policy["kind"] in ("namespaces", "bubblewrap")
    if isolated:
        become = policy["kind"] == "namespaces" and os.geteuid() == 0
        bounds.drop_privileges(become=become)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, signal.SIGKILL)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    if sys.platform == "linux":
        bounds.gain_nothing()
    bounds.limit_resources(policy["limits"], own_users=isolated)
    if isolated:
        seen = [inside for _, inside in policy["read"]]
        landlock.restrict(
            [*seen, "/etc", "/proc", "/dev"],
            [policy["folder"], *policy["temporary"]],
            [f"/dev/{name}" for name in view.DEVICES],
        )


def _filter(policy: Policy) -> None:
    if policy["kind"] in ("namespaces", "bubblewrap"):
        seccomp.restrict()


def _become(policy: Policy, report: int, reply: int) -> None:
    """Run the command in this process's place."""
    command = policy["command"]
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setsid()
        os.nice(5)  # whoever serves goes first
        _filter(policy)
        if reply >= 0:
            os.dup2(reply, REPLIES)
        os.chdir(policy["folder"])
        os.execvpe(command[0], command, policy["environment"])
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        end: End = {"how": "failed", "why": f"{command[0]!r} cannot be run: {why.lower()}"}
        tell(report, end)
    finally:
        os._exit(127)


def _wait(child: int, policy: Policy, life: int, waking: int) -> End | None:
    watch = Watch(policy)
    poll = select.poll()
    poll.register(life, select.POLLIN)
    poll.register(waking, select.POLLIN)
    while True:
        for place, _ in poll.poll(watch.pause * 1000):
            if place == waking:
                os.read(waking, 4096)
            elif b"i" in (asked := os.read(life, 64)):
                with contextlib.suppress(OSError):
                    os.killpg(child, signal.SIGINT)
            elif not asked:
                return None
        if status := _reaped(child):
            return status
        if end := watch.look():
            return end


def _reaped(child: int) -> End | None:
    """Collect every process that has ended; how the child did, if it is among them."""
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if process == 0:
            return None
        if process == child:
            code = os.waitstatus_to_exitcode(status)
            return (
                {"how": "signal", "status": -code} if code < 0 else {"how": "exit", "status": code}
            )
