"""From a recorded list of operations to phases: what can be done at once, and in whose memory."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from .graph import Node, Ref, Value

JOBS = {
    "linear", "gated", "attention", "merge_splits", "route", "gather", "gate_up", "down",
}  # fmt: skip
"""Operations that have jobs of their own; the others go vector by vector."""


@dataclass(frozen=True)
class Phase:
    """Operations between two barriers. domain None: jobs."""

    domain: int | None
    nodes: list[Node]


def convert_inputs(nodes: list[Node], form: Callable[[Node], str]) -> list[Node]:
    """Put what matrices read into the form that each wants, once for all that read the same."""
    found: list[Node] = []
    made: dict[tuple[Value | None, int, int, str], Ref] = {}
    for node in nodes:
        wanted = form(node) if node.name == "linear" else "f32"
        if wanted != "f32":
            (ref,) = node.inputs
            key = (ref.value, ref.offset, ref.width, wanted)
            if key not in made:
                assert ref.value is not None
                value = Value(ref.value.domain, ref.width, wanted)
                found.append(Node("convert", (ref,), value))
                made[key] = Ref(value, 0, ref.width)
            node.inputs = (made[key],)
        found.append(node)
    return found


def uses(nodes: list[Node]) -> Counter[Value]:
    """How many operations read each value."""
    return Counter(
        value for node in nodes for value in {ref.value for ref in node.inputs} if value is not None
    )


def add_in_place(nodes: list[Node], kept: Value) -> list[Node]:
    """Let a matrix add its result to what a following `add` would have added it to.

    `x + linear(...)` needs no memory of its own when nobody reads x afterwards. kept: the value
    that the step ends with.
    """
    counts = uses(nodes)
    reading: dict[Value | None, list[Node]] = defaultdict(list)
    for node in nodes:
        for value in {ref.value for ref in node.inputs}:
            reading[value].append(node)
    made = {node.output: node for node in nodes}
    place = {id(node): index for index, node in enumerate(nodes)}
    replaced: dict[Value, Value] = {}
    gone: set[int] = set()

    def current(ref: Ref) -> Ref:
        value = ref.value
        while value in replaced:
            value = replaced[value]
        return Ref(value, ref.offset, ref.width, ref.constant)

    for index, node in enumerate(nodes):
        if node.name != "add" or node.output is kept:
            continue
        for mine, other in (node.inputs, node.inputs[::-1]):
            maker, base = made.get(mine.value), current(other).value
            if maker is None or mine.value is None or base is None or other.value is None:
                continue
            fits = (
                maker.name == "linear" and "add_to" not in maker.of and counts[mine.value] == 1
                and mine.width == mine.value.width and other.width == other.value.width
                and base.domain == mine.value.domain
                # what experts made comes late, and a matrix need not wait for it
                and made[other.value].name != "combine"
            )  # fmt: skip
            if not fits:
                continue
            readers = reading[other.value]
            if any(place[id(reader)] > index for reader in readers):
                continue
            maker.of["add_to"] = base
            maker.after.extend(r for r in readers if r is not node and r is not maker)
            maker.after.append(made[other.value])
            replaced[node.output] = base  # type: ignore[index]
            gone.add(id(node))
            made[node.output] = maker
            break
    left = [node for node in nodes if id(node) not in gone]
    for node in left:
        node.inputs = tuple(current(ref) for ref in node.inputs)
        node.after = [_stand_in(each, gone, made) for each in node.after]
        if "add_to" in node.of:
            node.output = node.of["add_to"]
    return left


def _stand_in(node: Node, gone: set[int], made: dict[Value | None, Node]) -> Node:
    return made[node.output] if id(node) in gone else node


def phases(nodes: list[Node]) -> list[Phase]:
    """All operations, each as soon as what it needs is done."""
    missing, needed_by = _needs(nodes)
    places = [None if node.name in JOBS else _domain(node) for node in nodes]
    ready: dict[int | None, list[int]] = defaultdict(list)  # a heap for jobs, and for each domain
    for index, place in enumerate(places):
        if not missing[index]:
            ready[place].append(index)
    found: list[Phase] = []
    while any(ready.values()):
        rows = [place for place, held in ready.items() if held and place is not None]
        domain = min(rows, key=lambda place: ready[place][0], default=None)
        todo, ready[domain] = ready[domain], []
        taken: list[Node] = []
        while todo:
            index = heapq.heappop(todo)
            taken.append(nodes[index])
            for other in needed_by[index]:
                missing[other] -= 1
                if not missing[other]:
                    # what goes vector by vector goes on within the phase
                    now = domain is not None and places[other] == domain and other > index
                    heapq.heappush(todo if now else ready[places[other]], other)
        found.append(Phase(domain, taken))
    return found


def _needs(nodes: list[Node]) -> tuple[list[int], list[list[int]]]:
    """How many others each operation waits for, and which ones wait for it."""
    places = {id(node): index for index, node in enumerate(nodes)}
    writers: dict[Value, list[int]] = defaultdict(list)
    missing: list[int] = []
    needed_by: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        before = {places[id(each)] for each in node.after}
        for ref in node.inputs:
            if ref.value is not None:
                # a value that is added to has several writers; those recorded so far are meant
                before |= set(writers[ref.value])
        before.discard(index)
        missing.append(len(before))
        for each in before:
            needed_by[each].append(index)
        if node.output is not None:
            writers[node.output].append(index)
    return missing, needed_by


def _domain(node: Node) -> int:
    if node.output is not None:
        return node.output.domain
    value = node.inputs[0].value
    assert value is not None
    return value.domain


def share_memory(found: list[Phase], kept: Value) -> dict[Value, int]:
    """A buffer's number for each value; those never needed together may have the same.

    Buffers are freed at the end of a phase. They have one width and domain each.
    """
    last: dict[Value, int] = {}
    for index, phase in enumerate(found):
        for node in phase.nodes:
            for value in (node.output, *(ref.value for ref in node.inputs)):
                if value is not None:
                    last[value] = index
    last[kept] = len(found)
    numbers: dict[Value, int] = {}
    free: dict[tuple[object, ...], list[int]] = {}
    count = 0
    for index, phase in enumerate(found):
        for node in phase.nodes:
            for value in (node.output, *node.ahead):
                if value is None or value in numbers:
                    continue
                pool = free.setdefault(_kind(value), [])
                if pool:
                    numbers[value] = pool.pop()
                else:
                    numbers[value], count = count, count + 1
        for value, end in last.items():
            if end == index and value in numbers:
                free.setdefault(_kind(value), []).append(numbers[value])
    return numbers


def _kind(value: Value) -> tuple[object, ...]:
    return value.domain, value.width, value.form, value.times, value.spare
