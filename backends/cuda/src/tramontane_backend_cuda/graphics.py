"""Graphics cards of other makers, by what Linux says of them. Nothing here was run on one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
DRM, PCI = Path("/sys/class/drm"), Path("/sys/bus/pci/devices")
DISPLAY = "0x03"
"""How the class of a display controller begins."""


@dataclass(frozen=True)
class Graphics:
    """label: for people. memory: in bytes."""

    label: str
    memory_total: int
    memory_free: int


def amd_cards(drm: Path = DRM) -> list[Graphics]:
    """Those that AMD's driver has memory sizes of."""
    found = []
    for card in sorted(drm.glob("card[0-9]*/device")):
        if _read(card / "vendor") == AMD and (card / "mem_info_vram_total").is_file():
            total = int(_read(card / "mem_info_vram_total") or 0)
            used = int(_read(card / "mem_info_vram_used") or 0)
            label = _read(card / "product_name") or f"AMD {_read(card / 'device')}"
            found.append(Graphics(label, total, max(0, total - used)))
    return [card for card in found if card.memory_total]


def intel_cards(drm: Path = DRM) -> list[Graphics]:
    """Those of Intel's: as much memory as their largest window on the bus."""
    found = []
    for card in sorted(drm.glob("card[0-9]/device")):
        if _read(card / "vendor") != INTEL:
            continue
        sizes = [0]
        for line in _read(card / "resource").splitlines():
            start, end, *_ = (int(word, 16) for word in line.split())
            sizes.append(end - start + 1 if end else 0)
        if max(sizes):
            found.append(Graphics(f"Intel {_read(card / 'device')}", max(sizes), max(sizes)))
    return found


def nvidia_on_bus(pci: Path = PCI) -> int:
    """How many of NVIDIA's cards are on the bus, with a driver or without."""
    return sum(
        _read(device / "vendor") == NVIDIA and _read(device / "class").startswith(DISPLAY)
        for device in pci.glob("*")
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
