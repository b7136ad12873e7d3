"""Attempts to get out of a sandbox, each a piece of Python that runs inside.

None is an exploit: each does what the sandbox says cannot be done, in the plain way. `held` are
texts of which one is in the value or the error where the attempt fails, as it must.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """name: what is tried. outside: whether it may be run without a sandbox, where it must get
    through: that shows that the attempt is a real one."""

    name: str
    code: str
    held: tuple[str, ...] = ("PermissionError",)
    outside: bool = False


NOT_THERE = ("FileNotFoundError", "PermissionError")
READ_ONLY = ("Read-only file system", "PermissionError")
NO_SUCH_USER = ("PermissionError", "Invalid argument")
REFUSED_HERE = ("ConnectionRefusedError", "unreachable", "PermissionError")

PRELUDE = """
import ctypes, errno, mmap, os, resource, signal, socket, stat, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
def rights():
    return [l for l in open('/proc/self/status') if l.startswith(('CapEff', 'CapPrm', 'CapBnd'))]
"""
"""What the pieces use. `host` is a dictionary that the test writes before."""

FILES = (
    Attempt("read a file by its path", "open(host['secret']).read()", NOT_THERE, True),
    Attempt("read it through ..", "open('..' + host['secret']).read()", NOT_THERE),
    Attempt(
        "read it by a link",
        "os.symlink(host['secret'], 'way'); open('way').read()",
        NOT_THERE,
    ),
    Attempt("hard-link it", "os.link(host['secret'], 'hard'); open('hard').read()", NOT_THERE),
    Attempt("list its folder", "os.listdir(os.path.dirname(host['secret']))", NOT_THERE, True),
    Attempt(
        "read it through the first process", "open('/proc/1/root' + host['secret'])", NOT_THERE
    ),
    Attempt("read it through the host's process", "open(f\"/proc/{host['pid']}/cwd\")", NOT_THERE),
    Attempt("read the passwords", "open('/etc/shadow').read()", NOT_THERE),
    Attempt("read the users", "'root' in open('/etc/passwd').read()", ("False",), True),
    Attempt("list the home", "len(os.listdir(host['home'])) > 1", ("False", *NOT_THERE)),
    Attempt("find the host's variables", "os.environ['TRAMONTANE_ATTEMPT']", ("KeyError",)),
    Attempt("find them in a process", "open('/proc/1/environ').read()", NOT_THERE),
    Attempt("use an open file", "[os.read(n, 99) for n in range(5, 64)]", ("OSError",)),
    Attempt("write beside the folder", "open('/mine', 'w')", READ_ONLY),
    Attempt("write a program", "open('/usr/bin/mine', 'w')", READ_ONLY),
    Attempt("write Python's library", "open(os.__file__, 'a')", READ_ONLY),
    Attempt("write an installed package", "import numpy; open(numpy.__file__, 'a')", READ_ONLY),
    Attempt(
        "write this package",
        "open('/opt/tramontane/tramontane_plugin_sandbox/worker.py', 'a')",
        READ_ONLY,
    ),
    Attempt("make a program writable", "os.chmod('/usr/bin/env', 0o777)", READ_ONLY),
    Attempt("delete a program", "os.unlink('/usr/bin/env')", READ_ONLY),
    Attempt("read the disk", "os.open('/dev/vda', 0), os.open('/dev/sda', 0)", NOT_THERE),
    Attempt("read the memory", "os.open('/dev/mem', os.O_RDONLY)", NOT_THERE),
    Attempt("make a device", "os.mknod('disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))"),
    Attempt("read settings of the kernel", "os.listdir('/sys/kernel')", NOT_THERE, True),
    Attempt(
        "write settings of the kernel",
        "open('/proc/sys/kernel/core_pattern', 'w')",
        (*NOT_THERE, "Read-only"),
    ),
)

NETWORK = (
    Attempt(
        "reach a server of the host",
        "socket.create_connection(('127.0.0.1', host['port']), 2)",
        REFUSED_HERE,
        True,
    ),
    Attempt("reach it by IPv6", "socket.create_connection(('::1', host['port']), 2)", REFUSED_HERE),
    Attempt(
        "reach another machine",
        "socket.create_connection(('192.0.2.1', 80), 2)",
        ("unreachable", "PermissionError"),
    ),
    Attempt(
        "send a datagram",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        ("unreachable", "PermissionError"),
    ),
    Attempt("look a name up", "socket.getaddrinfo('example.org', 80)", ("gaierror",)),
    Attempt(
        "reach an abstract socket",
        "socket.socket(socket.AF_UNIX).connect('\\0' + host['abstract'])",
        REFUSED_HERE,
        True,
    ),
    Attempt(
        "reach a socket by its path",
        "socket.socket(socket.AF_UNIX).connect(host['socket'])",
        NOT_THERE,
        True,
    ),
    Attempt("open a raw socket", "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)"),
    Attempt("open a packet socket", "socket.socket(17, socket.SOCK_RAW, 0)"),
    Attempt("ask the kernel about networks", "socket.socket(16, socket.SOCK_RAW, 0)", outside=True),
    Attempt("reach the machine's host", "socket.socket(40, socket.SOCK_STREAM)"),
    Attempt("use the kernel's ciphers", "socket.socket(38, socket.SOCK_SEQPACKET)"),
)

PROCESSES = (
    Attempt(
        "see the host's processes",
        "sum(n.isdecimal() for n in os.listdir('/proc')) > 8",
        ("False",),
        True,
    ),
    Attempt("signal the host", "os.kill(host['pid'], 0)", ("ProcessLookupError",), True),
    Attempt("end the first process", "os.kill(1, 9); 'lives'", ("lives", "PermissionError")),
    Attempt("trace a child", "call(101, 16, os.getpid(), 0, 0)"),
    Attempt("read memory of the first process", "open('/proc/1/mem', 'rb')", NOT_THERE),
    Attempt("use descriptors of the first process", "open('/proc/1/fd/64')"),
    Attempt("become root", "os.setuid(0)", NO_SUCH_USER),
    Attempt("become root's group", "os.setgid(0)", NO_SUCH_USER),
    Attempt("join groups", "os.setgroups([0])"),
    Attempt("have any rights", "any(int(l.split()[1], 16) for l in rights())", ("False",)),
    Attempt(
        "gain rights by a program",
        "import shutil; shutil.copy('/bin/sh', 'sh'); os.chmod('sh', 0o4755); "
        "subprocess.run(['./sh', '-pc', 'id -u'], capture_output=True).stdout",
        ("1000",),
    ),
    Attempt("go before others", "os.nice(-10)"),
    Attempt("run in real time", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"),
    Attempt(
        "raise a limit",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (99999, 99999))",
        ("ValueError", "PermissionError"),
    ),
    Attempt("limit who watches", "resource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))"),
    Attempt("slow who watches", "os.setpriority(os.PRIO_PROCESS, 1, 19)"),
    Attempt("slow all of the user", "os.setpriority(os.PRIO_USER, 0, 19)"),
    Attempt("move who watches", "os.sched_setaffinity(1, {0})"),
    Attempt(
        "stop who watches",
        "os.kill(1, signal.SIGSTOP); open('/proc/1/stat').read().split()[2]",
        ("'S'", "'R'", "PermissionError"),
    ),
)

KERNEL = (
    Attempt("mount a file system", "call(NR['mount'], b'none', b'/tmp', b'tmpfs', 0, 0)"),
    Attempt("make the root writable", "call(NR['mount'], b'', b'/', b'', 0x1020, 0)"),
    Attempt("unmount", "call(NR['umount2'], b'/tmp', 2)"),
    Attempt("change the root", "os.chroot('/tmp')"),
    Attempt("new namespaces", "call(NR['unshare'], 0x10000000)", outside=False),
    Attempt("a process in new namespaces", "call(CLONE, 0x10000011, 0, 0, 0, 0)"),
    Attempt("the same by the newer call", "call(435, 0, 0)", ("Function not implemented",)),
    Attempt("enter other namespaces", "call(NR['setns'], 0, 0)"),
    Attempt("a queue of the kernel", "call(425, 1, 0)", ("Function not implemented",)),
    Attempt("type into a terminal", "import fcntl; fcntl.ioctl(0, 0x5412, b'x')"),
    Attempt("set the clock", "time.clock_settime(time.CLOCK_REALTIME, time.time())"),
    Attempt("name the machine", "socket.sethostname('mine')"),
)

MEMORY = (
    Attempt("take more memory than there may be", "len(bytearray(600 << 20))", ("MemoryError",)),
    Attempt("map more, shared", "len(mmap.mmap(-1, 3 << 30))", ("Cannot allocate", "MemoryError")),
    Attempt("memory in a nameless file", "call(MEMFD, b'm', 0)", ("Function not implemented",)),
    Attempt("memory of System V", "call(NR['shmget'], 0, 1 << 20, 0o1600)"),
    Attempt(
        "lock memory",
        "m = mmap.mmap(-1, 1 << 22)\n"
        "libc.mlock(ctypes.byref(ctypes.c_char.from_buffer(m)), ctypes.c_size_t(1 << 22))",
        ("-1",),
    ),
    Attempt(
        "write a file over its limit",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "with open('large', 'wb') as f: f.truncate(40 << 20)",
        ("File too large",),
    ),
    Attempt("open too many files", "kept = [os.dup(1) for _ in range(80)]", ("Too many open",)),
)  # fmt: skip

ATTEMPTS = (*FILES, *NETWORK, *PROCESSES, *KERNEL, *MEMORY)
