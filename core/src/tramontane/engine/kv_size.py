"""The KV cache's size, from a number of tokens, of bytes, or a share of free memory; and how many
slots there are for states."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence as SequenceOf
from typing import TYPE_CHECKING, NamedTuple

from tramontane import memory
from tramontane.errors import ConfigError, NotEnoughMemory
from tramontane.system.devices import free_now

from .kv_cache import BLOCK_SIZE, bytes_per_token, kv_modules, kv_shapes, token_bytes
from .state_cache import FEWEST, bytes_per_sequence, state_shapes

if TYPE_CHECKING:
    from tramontane.checkpoint.load import Loaded

    from .options import EngineOptions

SNAPSHOTS = 16
"""Snapshots of states beside the slots of running sequences, where memory allows."""
MOST_BLOCKS = 2**16
"""Blocks of a model without attention, where a block takes no memory but its number, unless a
context has more of them."""
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9,
         "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}  # fmt: skip


def kv_blocks(loaded: Loaded, options: EngineOptions, *, force: bool = False) -> int:
    """Number of blocks of the cache. Raises ConfigError, and NotEnoughMemory with the sizes."""
    each = bytes_per_token(loaded.model, loaded.kv_dtype) * BLOCK_SIZE
    if options.kv_tokens is not None and options.kv_memory is not None:
        raise ConfigError("kv_tokens and kv_memory both say how large the cache is; keep one")
    found, slots, taken = rooms(loaded), state_slots(loaded, options, force=force), 0
    if options.kv_memory is not None:
        taken = slots * bytes_per_sequence(loaded.model)
        room = _share(options.kv_memory, found, each // BLOCK_SIZE) - taken
        if not each and room < 0:
            raise ConfigError(
                f"kv_memory={options.kv_memory!r} is less than {memory.readable(taken)}, which "
                f"states of {slots} sequences take (--state-slots)"
            )
        blocks = room // each if each else _blocks_without_keys(loaded, options)
    elif not each and options.kv_tokens is None:
        return _blocks_without_keys(loaded, options)
    else:
        if options.kv_tokens is not None and options.kv_tokens < 1:
            raise ConfigError(f"kv_tokens={options.kv_tokens}: a cache holds at least one token")
        blocks = -(-(options.kv_tokens or loaded.context_length) // BLOCK_SIZE)
        if options.kv_tokens is None:
            return blocks  # memory for it was already checked when the model was loaded
    if blocks < 1:
        beside = f", and states take {memory.readable(taken)} (--state-slots)" if taken else ""
        raise ConfigError(
            f"kv_memory={options.kv_memory!r} holds not one block of {BLOCK_SIZE} tokens, which "
            f"takes {memory.readable(each)}{beside}"
        )
    for each_room in [] if force else found:
        size = blocks * each_room.per_token * BLOCK_SIZE
        if size > each_room.free:
            where = f" on {each_room.name}" if len(found) > 1 else ""
            raise NotEnoughMemory(
                f"a KV cache of {blocks * BLOCK_SIZE:,} tokens takes {memory.readable(size)}"
                f"{where}, and {memory.readable(each_room.free)} are free: give fewer tokens or "
                "bytes (--kv-tokens, --kv-memory), or --force to try all the same"
            )
    return blocks


class Room(NamedTuple):
    """A memory. free: bytes now. per_token, per_sequence: of keys and values, and of states."""

    name: str
    free: int
    per_token: int
    per_sequence: int


def rooms(loaded: Loaded) -> list[Room]:
    """The memories that caches are in."""
    model, placement = loaded.model, loaded.placement
    if placement is None:
        per_token = bytes_per_token(model, loaded.kv_dtype)
        return [Room(loaded.device.name, memory.free(), per_token, bytes_per_sequence(model))]
    found: dict[str, Room] = {}
    shapes = dict(zip(kv_modules(model), kv_shapes(model), strict=True))
    tokens = {index: token_bytes(*shape, loaded.kv_dtype) for index, shape in shapes.items()}
    states = {
        index: 4 * sum(math.prod(shape) for shape in kept.values())
        for index, kept in state_shapes(model).items()
    }
    for index in placement.used:
        device, backend = placement.devices[index]
        free = free_now(device, backend)
        before = found.get(device.memory, Room(device.name, free, 0, 0))
        mine = [i for i in {*tokens, *states} if placement.of_layer(i) == index]
        found[device.memory] = before._replace(
            per_token=before.per_token + sum(tokens.get(i, 0) for i in mine),
            per_sequence=before.per_sequence + sum(states.get(i, 0) for i in mine),
        )
    return list(found.values())


def _share(text: str, found: SequenceOf[Room], per_token: int) -> int:
    """Bytes in all that a size is, of which each memory's part must be its share."""
    if len(found) == 1 or "%" not in text or not per_token:
        return memory_of(text, found[0].free)
    tokens = [memory_of(text, each.free) // each.per_token for each in found if each.per_token]
    return min(tokens) * per_token


def _blocks_without_keys(loaded: Loaded, options: EngineOptions) -> int:
    """Enough for full contexts of all sequences that run, up to a number."""
    context = -(-loaded.context_length // BLOCK_SIZE)
    return max(context, min(max(1, options.max_seqs) * context, MOST_BLOCKS))


def state_slots(loaded: Loaded, options: EngineOptions, *, force: bool = False) -> int:
    """Number of slots for states. Raises ConfigError for fewer than one, and NotEnoughMemory with
    the sizes.

    With a cache of so many bytes (`kv_memory`), states take half of them at most, or all where no
    layer has keys and values.
    """
    if options.state_slots is not None:
        if options.state_slots < 1:
            raise ConfigError(
                f"state_slots={options.state_slots}: a sequence needs one (--state-slots)"
            )
        return _asked_slots(loaded, options.state_slots, force=force)
    each = bytes_per_sequence(loaded.model)
    wanted = max(1, options.max_seqs) + SNAPSHOTS
    if not each:
        return wanted
    share = 2 if bytes_per_token(loaded.model, loaded.kv_dtype) else 1
    asked, most = options.kv_memory, wanted
    for room in rooms(loaded):
        if room.per_sequence:
            part = room.free // 4 if asked is None else memory_of(asked, room.free) // share
            most = min(most, part // room.per_sequence)
    return max(FEWEST, most)


def _asked_slots(loaded: Loaded, count: int, *, force: bool) -> int:
    for room in [] if force else rooms(loaded):
        if (size := count * room.per_sequence) > room.free:
            raise NotEnoughMemory(
                f"state_slots={count}: states of so many sequences take {memory.readable(size)}, "
                f"and {memory.readable(room.free)} are free: give fewer (--state-slots), or "
                "--force to try all the same"
            )
    return count


def memory_of(text: str, free: int) -> int:
    """Parse a size such as "512MB", "2GiB", "1000000" or "40%" of `free`. Raises ConfigError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?B|%|)\s*", text.upper())
    if not match or (match[2] == "%" and not 0 < float(match[1]) <= 100):
        raise ConfigError(f"kv_memory={text!r} is no size such as 2GB, 512MiB or 40%")
    number = float(match[1])
    return int(number / 100 * free if match[2] == "%" else number * UNITS[match[2]])
