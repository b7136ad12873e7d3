"""Schedule recorded operations in phases that can run in parallel, and assign their buffers."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .graph import JOINT, Node, Ref, Value

JOBS = {
    "linear", "low_rank", "gated", "attention", "merge_splits", "route", "gather", "gate_up",
    "down", "short_conv", "token_shift", "delta_rule", "generalized_delta_rule", "selective_scan",
}  # fmt: skip
"""Operations that define their own jobs; all others are run vector by vector."""


TOGETHER = -1
"""The place of operations that ranks do together."""


@dataclass(frozen=True)
class Phase:
    """Operations between two barriers. domain: of their rows; None: the operations have jobs."""

    domain: int | None
    nodes: list[Node]


def convert_inputs(
    nodes: list[Node], form: Callable[[Node], str], order: Callable[[Node], Any]
) -> list[Node]:
    """Insert conversions of the inputs of matrices to the form and the order that each needs, once
    for all that read the same input. order: of a matrix's columns, an array or None."""
    result: list[Node] = []
    converted: dict[tuple[Any, ...], Ref] = {}
    for node in nodes:
        wanted = form(node) if node.name == "linear" else "f32"
        if wanted != "f32":
            (ref,), places = node.inputs, order(node)
            told = None if places is None else places.tobytes()
            key = (ref.value, ref.offset, ref.width, wanted, told)
            if key not in converted:
                assert ref.value is not None
                value = Value(ref.value.domain, ref.width, wanted)
                of = {} if places is None else {"order": places}
                result.append(Node("convert", (ref,), value, of))
                converted[key] = Ref(value, 0, ref.width)
            node.inputs = (converted[key],)
        result.append(node)
    return result


def uses(nodes: list[Node]) -> Counter[Value]:
    """How many operations read each value."""
    return Counter(
        value for node in nodes for value in {ref.value for ref in node.inputs} if value is not None
    )


def add_in_place(
    nodes: list[Node], kept: Sequence[Value], given: Sequence[Value] = ()
) -> list[Node]:
    """Fuse an `add` into the matrix product before it, which then accumulates into the other input.

    `x + linear(...)` needs no separate buffer if x is not read afterwards. kept: results.
    given: values that nothing here computes, which stay as they are.
    """
    counts = uses(nodes)
    reading: dict[Value | None, list[Node]] = defaultdict(list)
    for node in nodes:
        for value in {ref.value for ref in node.inputs}:
            reading[value].append(node)
    producers = {node.output: node for node in nodes}
    place = {id(node): index for index, node in enumerate(nodes)}
    replaced: dict[Value, Value] = {}
    removed: set[int] = set()

    def current(ref: Ref) -> Ref:
        value = ref.value
        while value in replaced:
            value = replaced[value]
        return Ref(value, ref.offset, ref.width, ref.constant)

    for index, node in enumerate(nodes):
        if node.name != "add" or node.output in kept:
            continue
        for product, other in (node.inputs, node.inputs[::-1]):
            linear, base = producers.get(product.value), current(other).value
            if linear is None or product.value is None or base is None or other.value is None:
                continue
            if base in given:
                continue
            fits = (
                linear.name == "linear" and linear.of.keys().isdisjoint(("add_to", "column"))
                and counts[product.value] == 1
                and product.width == product.value.width and other.width == other.value.width
                and base.domain == product.value.domain
                # results of experts come late, and a matrix product need not wait for them
                and producers[other.value].name != "combine"
            )  # fmt: skip
            if not fits:
                continue
            readers = reading[other.value]
            if any(place[id(reader)] > index for reader in readers):
                continue
            linear.of["add_to"] = base
            linear.after.extend(r for r in readers if r is not node and r is not linear)
            linear.after.append(producers[other.value])
            replaced[node.output] = base  # type: ignore[index]
            removed.add(id(node))
            producers[node.output] = linear
            break
    remaining = [node for node in nodes if id(node) not in removed]
    for node in remaining:
        node.inputs = tuple(current(ref) for ref in node.inputs)
        node.after = [_replacement(each, removed, producers) for each in node.after]
        if "add_to" in node.of:
            node.output = node.of["add_to"]
    return remaining


def _replacement(node: Node, removed: set[int], producers: dict[Value | None, Node]) -> Node:
    return producers[node.output] if id(node) in removed else node


def phases(nodes: list[Node]) -> list[Phase]:
    """Group operations into phases, each operation as early as its dependencies allow."""
    missing, needed_by = _needs(nodes)
    places = [_place(node) for node in nodes]
    ready: dict[int | None, list[int]] = defaultdict(list)  # a heap for jobs, and for each domain
    for index, place in enumerate(places):
        if not missing[index]:
            ready[place].append(index)
    result: list[Phase] = []
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
                    # operations that run vector by vector can depend on others of the same phase
                    now = domain is not None and places[other] == domain and other > index
                    heapq.heappush(todo if now else ready[places[other]], other)
        result.append(Phase(domain, taken))
    return result


def _needs(nodes: list[Node]) -> tuple[list[int], list[list[int]]]:
    """For each operation the number of its dependencies, and the operations that depend on it."""
    places = {id(node): index for index, node in enumerate(nodes)}
    writers: dict[Value, list[int]] = defaultdict(list)
    missing: list[int] = []
    needed_by: list[list[int]] = [[] for _ in nodes]
    for index, node in enumerate(nodes):
        before = {places[id(each)] for each in node.after}
        for ref in node.inputs:
            if ref.value is not None:
                # a value that is accumulated into has several writers; the earlier ones count
                before |= set(writers[ref.value])
        before.discard(index)
        missing.append(len(before))
        for each in before:
            needed_by[each].append(index)
        if node.output is not None:
            writers[node.output].append(index)
    return missing, needed_by


def _place(node: Node) -> int | None:
    """What can be in one phase with it: operations with jobs, those of a domain's rows, or those
    that ranks do together, which are in the order of the model."""
    if node.name == JOINT:
        return TOGETHER
    return None if node.name in JOBS else _domain(node)


def _domain(node: Node) -> int:
    if node.output is not None:
        return node.output.domain
    value = node.inputs[0].value
    assert value is not None
    return value.domain


def share_memory(schedule: list[Phase], *kept: Value) -> dict[Value, int]:
    """Assign a buffer number to each value; values with disjoint lifetimes share buffers.

    Buffers are freed at the end of a phase, and reused for values of the same width and domain.
    """
    last: dict[Value, int] = {}
    for index, phase in enumerate(schedule):
        for node in phase.nodes:
            for value in (node.output, *(ref.value for ref in node.inputs)):
                if value is not None:
                    last[value] = index
    last.update(dict.fromkeys(kept, len(schedule)))
    numbers: dict[Value, int] = {}
    free: dict[tuple[object, ...], list[int]] = {}
    count = 0
    for index, phase in enumerate(schedule):
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
