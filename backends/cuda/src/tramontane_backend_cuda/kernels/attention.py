"""Attention over the paged cache, for one new token of many sequences and for many of one alike.

A tile is some tokens of one sequence with some of the heads that share a head of the cache. Softmax
is online, in steps of STEP tokens, restarted every SPLIT tokens and merged in order, both counted
from a sequence's beginning:

    a split       top = max score, weight = sum exp(score - top), total = sum exp(score - top) v
    merged        top = max(tops), weight = sum weight exp(top of split - top), total likewise

A step or a split of which a token sees nothing leaves its numbers as they are, bit by bit. So its
result depends neither on its neighbours in a tile, nor on how a prompt was cut up, nor on whether
splits are programs of their own (a token that is generated) or done one after the other (a prompt).
Kernels are compiled without contraction to fused multiply-adds, which could differ between the two.

Keys are (pages, kv_heads, d_key, 16), values (pages, kv_heads, 16, d_value), or codes: see
`tramontane.engine.kv_cache`.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
from __future__ import annotations

import triton
import triton.language as tl

LOWEST = tl.constexpr(-1e30)
PAGE = tl.constexpr(16)
GROUP = tl.constexpr(32)
FLOATS, FLOATS8, CODES8 = (tl.constexpr(i) for i in range(3))


@triton.jit
def merged(top, weight, total, top1, weight1, total1):
    """Two parts' softmax sums as those of both: top, weight (rows), total (rows, width)."""
    most = tl.maximum(top, top1)
    keep, add = tl.exp(top - most), tl.exp(top1 - most)
    return most, weight * keep + weight1 * add, total * keep[:, None] + total1 * add[:, None]


@triton.jit
def finished(top, weight, total, sink, SINKS: tl.constexpr):
    """The weighted mean; a sink is one more score, of no value."""
    if SINKS:
        most = tl.maximum(top, sink)
        keep = tl.exp(top - most)
        weight = weight * keep + tl.exp(sink - most)
        total = total * keep[:, None]
    return total / tl.where(weight > 0, weight, 1.0)[:, None]  # 0 in rows that ask nothing


@triton.jit(do_not_specialize=["rows"])
def attend(
    q, asked, out, tops, weights, totals, tiles, pages, reach, keys, values, key_scales,
    value_scales, table, sinks, slopes, scale, cap, window, chunk, key_page, value_page,
    key_scale_page, value_scale_page, rows,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, D: tl.constexpr, DV: tl.constexpr,
    BD: tl.constexpr, BV: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
    STEP: tl.constexpr, SPLIT: tl.constexpr, KIND: tl.constexpr, LATENT: tl.constexpr,
    WINDOW: tl.constexpr, CHUNK: tl.constexpr, CAP: tl.constexpr, ALIBI: tl.constexpr,
    SINKS: tl.constexpr, MUTUAL: tl.constexpr, APART: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """q: (rows, HEADS, D). asked: LATENT, what heads ask of the values: (rows, HEADS, DV). out:
    (rows, HEADS, DV). tops, weights: APART, (splits, rows, HEADS), totals: (splits, rows, HEADS,
    DV), float32, of which a program writes its split's.

    tiles: int32 (tiles, 5): first row, rows, position of the first, place in `pages`, and the end
    of what its rows see. pages: int32. reach: MUTUAL, int32 (rows), the end of what each sees.
    key_page and the others: how far pages are apart, in elements. BD, BV: D and DV, rounded up to
    powers of two. BLOCK: heads of a tile, of HEADS / KV_HEADS.
    """
    SHARE: tl.constexpr = HEADS // KV_HEADS
    BLOCKS: tl.constexpr = (SHARE + BLOCK - 1) // BLOCK
    tile = tiles + tl.program_id(0) * 5
    first_row, count, position = tl.load(tile), tl.load(tile + 1), tl.load(tile + 2)
    place, end = tl.load(tile + 3), tl.load(tile + 4)
    kv_head, block = tl.program_id(1) // BLOCKS, tl.program_id(1) % BLOCKS
    each = tl.arange(0, ROWS)
    token, head = each // BLOCK, block * BLOCK + each % BLOCK
    asking = (token < count) & (head < SHARE)
    head += kv_head * SHARE
    line = (first_row + token) * HEADS + head
    position += token
    low = tl.zeros((ROWS,), tl.int32)
    if WINDOW:
        low = tl.maximum(low, position - window + 1)
    if CHUNK:
        low = tl.maximum(low, position - position % chunk)
    high = position + 1
    if MUTUAL:
        high = tl.load(reach + first_row + token, asking, other=0)
    high = tl.where(asking, high, 0)
    d, dv, step = tl.arange(0, BD), tl.arange(0, BV), tl.arange(0, STEP)
    query = tl.load(
        q + line[:, None].to(tl.int64) * D + d[None, :], asking[:, None] & (d < D)[None, :], other=0
    ).to(DOT)
    if LATENT:
        of_latents = tl.load(
            asked + line[:, None].to(tl.int64) * DV + dv[None, :],
            asking[:, None] & (dv < DV)[None, :], other=0,
        ).to(DOT)  # fmt: skip
    if ALIBI:
        slope = tl.load(slopes + head, asking, other=0)
    begin = tl.min(tl.where(asking, low, end), 0) // STEP * STEP
    first_split, last_split = begin // SPLIT, (end + SPLIT - 1) // SPLIT
    if APART:
        first_split = tl.program_id(2)
        last_split = first_split + 1
    top = tl.full((ROWS,), LOWEST, tl.float32)
    weight = tl.zeros((ROWS,), tl.float32)
    total = tl.zeros((ROWS, BV), tl.float32)
    for split in range(first_split, last_split):
        top1 = tl.full((ROWS,), LOWEST, tl.float32)
        weight1 = tl.zeros((ROWS,), tl.float32)
        total1 = tl.zeros((ROWS, BV), tl.float32)
        from_ = tl.maximum(split * SPLIT, begin)
        for start in range(from_, tl.minimum(split * SPLIT + SPLIT, end), STEP):
            column = start + step
            held = column < end
            page = tl.load(pages + place + column // PAGE, held, other=0).to(tl.int64)
            slot = column % PAGE
            key_at = page * key_page + slot
            if KIND == CODES8:
                unit = (d // 4 * (4 * PAGE) + d % 4)[:, None]
                key_bytes: tl.constexpr = (D + 3) // 4 * 4 * PAGE
                groups: tl.constexpr = (D + GROUP - 1) // GROUP * PAGE
                at = key_at - slot + kv_head * (key_bytes + 2 * groups) + slot * 4
                key = tl.load(
                    keys + at[None, :] + unit, held[None, :] & (d < D)[:, None], other=0
                ).to(tl.float32)
                at = page * key_scale_page + kv_head * (key_bytes // 2 + groups) + slot
                key = key * tl.load(
                    key_scales + at[None, :] + (d // GROUP * PAGE)[:, None],
                    held[None, :] & (d < D)[:, None], other=0,
                ).to(tl.float32)  # fmt: skip
            else:
                at = key_at + kv_head * (D * PAGE)
                key = tl.load(
                    keys + at[None, :] + (d * PAGE)[:, None],
                    held[None, :] & (d < D)[:, None], other=0,
                )  # fmt: skip
                if KIND == FLOATS8:
                    key = tl.load(table + key.to(tl.int32))
            wanted = held[:, None] & (dv < DV)[None, :]
            if KIND == CODES8:
                value_bytes: tl.constexpr = DV * PAGE
                value_groups: tl.constexpr = (DV + GROUP - 1) // GROUP * PAGE
                at = page * value_page + kv_head * (value_bytes + 2 * value_groups) + slot * DV
                value = tl.load(values + at[:, None] + dv[None, :], wanted, other=0)
                at = page * value_scale_page + kv_head * (value_bytes // 2 + value_groups) + slot
                value = value.to(tl.float32) * tl.load(
                    value_scales + at[:, None] + (dv // GROUP * PAGE)[None, :], wanted, other=0
                ).to(tl.float32)
            else:
                at = page * value_page + (kv_head * PAGE + slot) * DV
                value = tl.load(values + at[:, None] + dv[None, :], wanted, other=0)
                if KIND == FLOATS8:
                    value = tl.load(table + value.to(tl.int32))
            value = value.to(DOT)
            score = tl.dot(query, key.to(DOT), input_precision="ieee")
            if LATENT:
                score = tl.dot(of_latents, tl.trans(value), score, input_precision="ieee")
            score = score * scale
            if CAP:
                score = cap * (1 - 2 / (tl.exp(2 * (score / cap)) + 1))  # tanh
            if ALIBI:
                score = score - slope[:, None] * (position[:, None] - column[None, :])
            seen = (column[None, :] < high[:, None]) & (column[None, :] >= low[:, None])
            score = tl.where(seen, score, float("-inf"))
            most = tl.maximum(top1, tl.max(score, 1))
            share = tl.exp(score - most[:, None])
            keep = tl.exp(top1 - most)
            share = share.to(DOT)
            # a sum of columns by tl.sum would be in another order where a tile has more rows
            ones = tl.full((STEP, 16), 1, DOT)
            shares = tl.max(tl.dot(share, ones, input_precision="ieee"), 1)
            weight1 = weight1 * keep + shares
            added = tl.dot(share, value, input_precision="ieee")
            total1 = total1 * keep[:, None] + added
            top1 = most
        top, weight, total = merged(top, weight, total, top1, weight1, total1)
    where = line[:, None].to(tl.int64) * DV + dv[None, :]
    known = asking[:, None] & (dv < DV)[None, :]
    if APART:
        layer = tl.program_id(2).to(tl.int64) * rows * HEADS
        tl.store(tops + layer + line, top, asking)
        tl.store(weights + layer + line, weight, asking)
        tl.store(totals + layer * DV + where, total, known)
    else:
        sink = tl.load(sinks + head, asking, other=0).to(tl.float32) if SINKS else top
        mean = finished(top, weight, total, sink, SINKS)
        tl.store(out + where, mean.to(out.dtype.element_ty), known)


@triton.jit(do_not_specialize=["rows", "splits"])
def merge(
    tops, weights, totals, chosen, out, sinks, rows, splits,
    HEADS: tl.constexpr, DV: tl.constexpr, BV: tl.constexpr, SINKS: tl.constexpr,
):  # fmt: skip
    """What `attend` wrote of `splits` splits, as one result. chosen: int32, the rows that it was
    done for. Arguments: as there."""
    head = tl.program_id(1)
    line = tl.load(chosen + tl.program_id(0)) * HEADS + head + tl.zeros((1,), tl.int32)
    dv = tl.arange(0, BV)
    top = tl.full((1,), LOWEST, tl.float32)
    weight = tl.zeros((1,), tl.float32)
    total = tl.zeros((1, BV), tl.float32)
    where = line[:, None].to(tl.int64) * DV + dv[None, :]
    for split in range(splits):
        layer = tl.cast(split, tl.int64) * rows * HEADS
        top1, weight1 = tl.load(tops + layer + line), tl.load(weights + layer + line)
        total1 = tl.load(totals + layer * DV + where, (dv < DV)[None, :], other=0)
        top, weight, total = merged(top, weight, total, top1, weight1, total1)
    sink = tl.load(sinks + head + tl.zeros((1,), tl.int32)).to(tl.float32) if SINKS else top
    mean = finished(top, weight, total, sink, SINKS)
    tl.store(out + where, mean.to(out.dtype.element_ty), (dv < DV)[None, :])
