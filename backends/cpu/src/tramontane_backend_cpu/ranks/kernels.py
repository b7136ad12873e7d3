"""Exchange between processes through shared memory: compiled, and without Python.

Each rank has a line that only it writes, and two slots for data. An operation has a number, counted
alike on all ranks. In operation n a rank

    waits until all others have posted n - 1
    writes its data to its slot n % 2
    posts n
    waits until those whose data it needs have posted n, and reads their slots

Two slots are enough: who has posted n - 1 no longer reads what was written for n - 2.

Order of memory: a rank posts after it has written its data (release), and another reads the data
after it has seen the post (acquire). x86 keeps these orders anyway; ARM does not, and gets
instructions for them (stlr, ldar). Sleeping needs more: who falls asleep says so and then looks for
the post again, who posts does so and then looks whether anyone sleeps, and at least one of the two
must see the other. No processor keeps a store before a later load by itself, so these are
sequentially consistent (on x86 a locked exchange).
"""

from __future__ import annotations

from tramontane_backend_cpu.numba_setup import native, njit
from tramontane_backend_cpu.vector.memory import (
    byte,
    load,
    load_some,
    put_byte,
    put_word,
    store,
    store_some,
    word,
)
from tramontane_backend_cpu.vector.parallel import (
    call_plain,
    call_poll,
    call_transfer,
    pause,
    swap,
    watch,
    watch_in_order,
)

STATE = (
    "rank", "size", "shared", "posted", "done", "at", "looks", "patience", "give_way", "poll",
    "read", "write", "files", "scratch", "interval", "intervals", "first_gone",
)  # fmt: skip
"""A rank's own state, 64-bit integers. posted, done: operations. at: of a sum, the numbers that are
finished. looks: before it sleeps; patience: before it yields the core at each. give_way to write:
addresses of the C library's functions. files: of `struct pollfd`, one for each rank. interval:
milliseconds; intervals: of those without news after which a rank gives up."""
LINE = 128
"""Bytes between what different ranks write: two cache lines, as they are fetched in pairs, and one
of Apple's."""
SLEEPS, PROCESS = LINE, 8
"""Where in a rank's block its sleeping and its process id stand; its posts are at 0."""
BLOCK = 2 * LINE
CHUNK = 1 << 17
"""Bytes of a slot's data: two ranks' two slots fit into a second-level cache."""
SLOT = LINE + CHUNK
FLOATS = CHUNK // 4
GONE, STALLED, INTERRUPTED = -1, -1001, -5000
"""Results below 0: GONE - rank, STALLED - rank, and that a signal came, after which the same call
goes on."""
ENDED = 8 | 16
"""POLLERR and POLLHUP, the same on Linux and macOS."""
NOBODY = -1
YIELD = 15
"""Looks that one counts for, besides itself, after which the core was yielded."""


@njit
def line(state, rank):  # type: ignore[no-untyped-def]
    return word(state + 16) + BLOCK * rank


@njit
def slot(state, rank, number):  # type: ignore[no-untyped-def]
    size = word(state + 8)
    return word(state + 16) + BLOCK * size + SLOT * (2 * rank + (number & 1))


@njit
def wait_for(state, other, number):  # type: ignore[no-untyped-def]
    """Until a rank has posted an operation: 0, or a result below 0."""
    address, looks = line(state, other), 0
    most, patience = word(state + 48), word(state + 56)
    while watch(address) < number:
        pause()
        looks += 1
        if looks > patience:
            call_plain(word(state + 64))
            looks += YIELD
        if looks > most:
            return sleep_until(state, other, number)
    return 0


@njit
def sleep_until(state, other, number):  # type: ignore[no-untyped-def]
    address, mine = line(state, other), line(state, word(state)) + SLEEPS
    size, files, scratch = word(state + 8), word(state + 96), word(state + 104)
    quiet, result = 0, 0
    swap(mine, 1)
    while watch_in_order(address) < number:
        if word(files + 8 * other) & 0xFFFFFFFF == 0xFFFFFFFF:  # its end was seen before
            result = GONE - who_is_gone(state, other, number)
            break
        came = call_poll(word(state + 72), files, size, word(state + 112))
        if came < 0:
            result = INTERRUPTED
            break
        if came == 0:
            quiet += 1
            if quiet >= word(state + 120):
                result = STALLED - other
                break
        for rank in range(size):
            entry = word(files + 8 * rank)
            events, file = (entry >> 48) & 0xFFFF, entry & 0xFFFFFFFF
            if events:
                count = call_transfer(word(state + 80), file, scratch, 64)
                if count == 0 or (count < 0 and events & ENDED):
                    if word(state + 128) == NOBODY:
                        put_word(state + 128, rank)
                    put_word(files + 8 * rank, 0xFFFFFFFF)  # poll passes over -1
    swap(mine, 0)
    return result


@njit
def who_is_gone(state, other, number):  # type: ignore[no-untyped-def]
    """The rank that went first, if it has not posted either: the others follow it."""
    first = word(state + 128)
    return first if watch(line(state, first)) < number else other


@njit
def begin(state):  # type: ignore[no-untyped-def]
    """Wait until this rank's next slot is free: 0, or a result below 0."""
    number = word(state + 24)
    for other in range(word(state + 8)):
        if other != word(state):
            result = wait_for(state, other, number)
            if result:
                return result
    return 0


@njit
def publish(state):  # type: ignore[no-untyped-def]
    """Post this rank's data, and wake who sleeps."""
    number, rank = word(state + 24) + 1, word(state)
    put_word(state + 24, number)
    swap(line(state, rank), number)
    for other in range(word(state + 8)):
        if other != rank and watch_in_order(line(state, other) + SLEEPS):
            file = word(word(state + 96) + 8 * other) & 0xFFFFFFFF
            call_transfer(word(state + 88), file, word(state + 104), 1)


@njit
def copy(to, source, count):  # type: ignore[no-untyped-def]
    """Bytes."""
    whole = count // 64 * 64
    for at in range(0, whole, 64):
        store("f32", to + at, load("f32", source + at))
    for at in range(whole, count):
        put_byte(to + at, byte(source + at))


@njit
def total(state, x, count, number):  # type: ignore[no-untyped-def]
    """Floats x, count of them, become the sum of all ranks' slots, rank 0 first."""
    size, step = word(state + 8), 2 * SLOT
    first = slot(state, 0, number) + LINE
    whole = count // 16 * 16
    for at in range(0, 4 * whole, 64):
        value = load("f32", first + at)
        for rank in range(1, size):
            value = value + load("f32", first + step * rank + at)
        store("f32", x + at, value)
    rest = count - whole
    if rest:
        at = 4 * whole
        value = load_some("f32", first + at, rest)
        for rank in range(1, size):
            value = value + load_some("f32", first + step * rank + at, rest)
        store_some("f32", x + at, value, rest)


@native(3, result=True)
def reduce(state, x, count):  # type: ignore[no-untyped-def]
    """Floats at x, count of them, become the sum over ranks: 0, or a result below 0."""
    size, rank = word(state + 8), word(state)
    while word(state + 40) < count:
        at = word(state + 40)
        many = min(count - at, FLOATS)
        if word(state + 24) == word(state + 32):
            result = begin(state)
            if result:
                return result
            number = word(state + 24) + 1
            copy(slot(state, rank, number) + LINE, x + 4 * at, 4 * many)
            publish(state)
        number = word(state + 24)
        for other in range(size):
            if other != rank:
                result = wait_for(state, other, number)
                if result:
                    return result
        total(state, x + 4 * at, many, number)
        put_word(state + 32, number)
        put_word(state + 40, at + many)
    put_word(state + 40, 0)
    return 0


@native(4, result=True)
def put(state, address, count, length):  # type: ignore[no-untyped-def]
    """Begin an operation with bytes of this rank; length: what the others are told of all of them.
    0, or a result below 0."""
    result = begin(state)
    if result:
        return result
    place = slot(state, word(state), word(state + 24) + 1)
    put_word(place, length)
    copy(place + LINE, address, count)
    publish(state)
    return 0


@native(2, result=True)
def length_of(state, source):  # type: ignore[no-untyped-def]
    """What a rank says of its bytes in this operation, or a result below 0."""
    number = word(state + 24)
    if source != word(state):
        result = wait_for(state, source, number)
        if result:
            return result
    return word(slot(state, source, number))


@native(4, result=True)
def take(state, source, address, count):  # type: ignore[no-untyped-def]
    """A rank's bytes of this operation: 0, or a result below 0."""
    number = word(state + 24)
    if source != word(state):
        result = wait_for(state, source, number)
        if result:
            return result
    copy(address, slot(state, source, number) + LINE, count)
    return 0


@native(1)
def finish(state):  # type: ignore[no-untyped-def]
    """All of this operation's data that this rank wants is read."""
    put_word(state + 32, word(state + 24))


KERNELS = (reduce, put, length_of, take, finish)
