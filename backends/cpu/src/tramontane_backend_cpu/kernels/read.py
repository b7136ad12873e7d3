"""Reading a file by several threads, none of which asks for Python's lock in between."""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.memory import put_word, word, words
from tramontane_backend_cpu.vector.parallel import call_kernel, call_read
from tramontane_backend_cpu.vector.tiles import ROWS

from . import translate

FIELDS = (
    "translator", "arguments", "read", "file", "offset", "buffers", "buffer_bytes", "row_bytes",
    "rows", "blocks", "at_once", "order", "lowest", "highest", "sources", "short",
)  # fmt: skip
"""translator: kernel of what is done with what was read. arguments: for it, of each thread. read:
address of pread. file, offset: where row 0 begins. buffers: of `buffer_bytes` for each thread.
blocks: of rows, `at_once` in a job. order: the rows wanted. lowest, highest: of those of each job.
sources: room for the addresses of a job's rows, for each thread. short: address of what becomes 1
when the file ends too early."""
PLAIN_FIELDS = ("read", "file", "offset", "out", "size", "run", "short")
"""out: where `size` bytes go, `run` in a job."""
ARGUMENT_BYTES = 8 * len(translate.FIELDS)


@njit
def read_all(read, file, offset, out, size):  # type: ignore[no-untyped-def]
    """Whether there are `size` bytes at `offset`; then they are at `out`."""
    done = 0
    while done < size:
        count = call_read(read, file, out + done, size - done, offset + done)
        if count <= 0:
            return False
        done += count
    return True


@native(3)
def read_and_translate(arguments, job, thread):  # type: ignore[no-untyped-def]
    """Some blocks of rows, few enough to be in the cache still when they are translated."""
    (translator, told, read, file, offset, buffers, buffer_bytes, row_bytes, rows, blocks, at_once,
     order, lowest, highest, sources, short) = words(arguments, 16)  # fmt: skip
    first, last = job * at_once, min(blocks, (job + 1) * at_once)
    low, high = word(lowest + 8 * job), word(highest + 8 * job)
    buffer = buffers + thread * buffer_bytes
    size = (high - low) * row_bytes
    if not read_all(read, file, offset + low * row_bytes, buffer, size):
        put_word(short, 1)
        return
    here = sources + 8 * thread * at_once * ROWS
    begin = first * ROWS
    for row in range(begin, min(rows, last * ROWS)):
        put_word(here + 8 * (row - begin), buffer + (word(order + 8 * row) - low) * row_bytes)
    mine = told + thread * ARGUMENT_BYTES
    put_word(mine, here - 8 * begin)
    call_kernel(translator, mine, first, last)


@native(3)
def read_plain(arguments, job, thread):  # type: ignore[no-untyped-def]
    """Some bytes, as they are."""
    read, file, offset, out, size, run, short = words(arguments, 7)
    begin = job * run
    count = min(run, size - begin)
    if not read_all(read, file, offset + begin, out + begin, count):
        put_word(short, 1)
