"""The blocks of MobileNetV5, Gemma 3n's encoder of images (Qin et al. 2024, of V4): edge residuals,
universal inverted residuals, and attention whose heads share keys and values.

x is (height, width, channels). `parts` yields where a block may be interrupted.
"""

import torch.nn.functional as F
from torch import Tensor, nn
from tramontane.blocks import RMSNorm
from tramontane.blocks.vision import Parts

from .gemma3n_convolution import (
    OTHERS,
    AloneConvolution,
    ConvNorm,
    Convolution,
    Scale,
    by_rows,
    each_place,
    matrix_of,
)
from .gemma3n_subsample import EPS
from .model import TANH


class EdgeResidual(nn.Module):
    """A convolution to more channels, a matrix to fewer. Tensors: conv_exp, bn1, conv_pwl, bn2."""

    def __init__(self, inner: int, outer: int, ratio: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inner * ratio
        self.conv_exp, self.bn1 = Convolution(inner, wide, kernel, stride), RMSNorm(wide, EPS)
        self.conv_pwl, self.bn2 = matrix_of(wide, outer), RMSNorm(outer, EPS)
        self.added = inner == outer and stride == 1

    def parts(self, x: Tensor) -> Parts:
        def then(wide: Tensor) -> Tensor:
            out: Tensor = self.bn2(each_place(TANH(self.bn1(wide)), self.conv_pwl))
            return out

        out = yield from self.conv_exp.parts(x, then, self.conv_pwl.weight.numel())
        return x + out if self.added else out


class InvertedResidual(nn.Module):
    """A matrix to more channels and one to fewer, with convolutions of each channel before them
    (`start`) and between them (`mid`), whose kernels' sizes these are, 0: none. Tensors: dw_start,
    pw_exp, dw_mid, pw_proj, layer_scale.gamma (outer)."""

    def __init__(
        self, inner: int, outer: int, ratio: int, start: int = 0, mid: int = 0, stride: int = 1,
        *, scaled: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        wide = inner * ratio
        self.dw_start = ConvNorm(AloneConvolution(inner, start)) if start else None
        self.pw_exp = ConvNorm(matrix_of(inner, wide), act=True)
        self.dw_mid = ConvNorm(AloneConvolution(wide, mid, stride), act=True) if mid else None
        self.pw_proj = ConvNorm(matrix_of(wide, outer))
        self.layer_scale = Scale(outer) if scaled else None
        self.added = scaled and inner == outer and stride == 1
        self.cost = (inner * stride**2 + outer + OTHERS) * wide

    def parts(self, x: Tensor) -> Parts:
        out = x
        if self.dw_start is not None:
            out = yield from self.dw_start.parts(x)
            yield None
        if self.dw_mid is None:
            out = yield from by_rows(out, lambda rows: self.narrow(self.pw_exp(rows)), self.cost)
        else:
            out = yield from self.dw_mid.parts(out, self.narrow, self.cost, self.pw_exp)
        return x + out if self.added else out

    def narrow(self, x: Tensor) -> Tensor:
        x = self.pw_proj(x)
        return x if self.layer_scale is None else self.layer_scale(x)


class Projection(nn.Module):
    """A matrix, behind the norm of a convolution with stride 2 of each channel if `half`. Tensors:
    proj, and down_conv and norm if half."""

    def __init__(self, inner: int, outer: int, *, half: bool = False) -> None:
        super().__init__()
        self.down_conv = AloneConvolution(inner, 3, 2) if half else None
        self.norm = RMSNorm(inner, EPS) if half else None
        self.proj = matrix_of(inner, outer)

    def parts(self, x: Tensor) -> Parts:
        if self.down_conv is not None and self.norm is not None:
            x = yield from self.down_conv.parts(x, self.norm)
        out = yield from by_rows(x, lambda rows: each_place(rows, self.proj),
                                 self.proj.weight.numel())  # fmt: skip
        return out


class SharedAttention(nn.Module):
    """Attention of all places to all, or to each second in both directions if `half`; all heads
    have the same keys and values. Tensors: query, key, value, output."""

    def __init__(self, channels: int, heads: int, d: int, *, half: bool) -> None:
        super().__init__()
        self.heads, self.d = heads, d
        self.query = Projection(channels, heads * d)
        self.key, self.value = (Projection(channels, d, half=half) for _ in range(2))
        self.output = Projection(heads * d, channels)

    def parts(self, x: Tensor) -> Parts:
        q = yield from self.query.parts(x)
        k = yield from self.key.parts(x)
        v = yield from self.value.parts(x)
        k, v = (each.flatten(0, 1)[None] for each in (k, v))
        mixed = yield from by_rows(
            q, lambda rows: self.mixed(rows, k, v), 2 * k.shape[1] * self.heads * self.d
        )
        out = yield from self.output.parts(mixed)
        return out

    def mixed(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q: (height, width, heads * d). k, v: (1, places, d)."""
        rows = q.reshape(1, -1, self.d)
        return F.scaled_dot_product_attention(rows, k, v).view(q.shape)


class AttentionBlock(nn.Module):
    """x + scale * attention(norm(x)). Tensors: norm, attn, layer_scale.gamma."""

    def __init__(self, channels: int, heads: int, d: int, *, half: bool) -> None:
        super().__init__()
        self.norm = RMSNorm(channels, EPS)
        self.attn = SharedAttention(channels, heads, d, half=half)
        self.layer_scale = Scale(channels)

    def parts(self, x: Tensor) -> Parts:
        out = yield from self.attn.parts(self.norm(x))
        scaled: Tensor = self.layer_scale(out)
        return x + scaled
