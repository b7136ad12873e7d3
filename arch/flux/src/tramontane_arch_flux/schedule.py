"""The amounts of noise that steps begin and end with: flow matching by Euler's method."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .config import ScheduleConfig


def sigmas(cfg: ScheduleConfig, steps: int, tokens: int, strength: float = 1.0) -> Tensor:
    """The share of noise before each step, and after the last: (steps + 1), from 1 to 0, float32.

    tokens: of the image, of which dynamic shifting depends. strength: with how much noise an image
    that is given begins; steps above it are left out, so that there may be none: (1).
    """
    even = np.linspace(1.0, 1 / steps, steps).astype(np.float32)
    if cfg.use_dynamic_shifting:
        slope = (cfg.max_shift - cfg.base_shift) / (cfg.max_image_seq_len - cfg.base_image_seq_len)
        mu = tokens * slope + (cfg.base_shift - slope * cfg.base_image_seq_len)
        by = math.exp(mu) if cfg.time_shift_type == "exponential" else mu
        shifted = by / (by + (1 / even - 1))
    else:
        shifted = cfg.shift * even / (1 + (cfg.shift - 1) * even)
    first = int(max(steps - min(steps * strength, steps), 0))
    kept = torch.from_numpy(shifted).to(torch.float32)[first:]
    return torch.cat((kept, torch.zeros(1)))
