"""The library's words for damaged files become ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError, safe_open
from tramontane.checkpoint.safetensors_damage import damage


def file(header: Any, body: bytes = b"12345678") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def tensor(first: int, last: int, **more: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2], "data_offsets": [first, last], **more}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"abc", "too short to have a header"),
        (b"\xff" * 20, "not a valid header length"),
        (file({"a": tensor(0, 8)})[:20], "ends within its header"),
        (file({"a": tensor(0, 8)}, b"123"), "its size differs from the size in its header"),
        (file({"a": tensor(0, 8)}, b"123456789"), "or has extra bytes"),
        (file(b"\xff{}"), "not UTF-8"),
        (file(b"{nope"), "not the JSON of a safetensors file (key must be a string"),
        (file({"a": tensor(0, 8, dtype="F99")}), "unknown variant `F99`"),
        (file({"a": tensor(0, 8, shape=[3])}), "do not fit its bytes"),
        (file({"a": tensor(4, 12)}), "overlap others, or leave a gap (`a`)"),
    ],
)
def test_damage(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(SafetensorError) as caught:
        safe_open(tmp_path / "x", framework="pt")
    found = damage(caught.value)
    assert said in found
    assert "deserializing" not in found
    assert "\n" not in found
