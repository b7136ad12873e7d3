"""The codec against transformers' and the maker's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tramontane.blocks.vision import at_once
from tramontane.errors import CheckpointError, ConfigError
from tramontane_arch_dia.codec import WINDOW, Codec, windows
from tramontane_arch_dia.config import DiaConfig
from tramontane_arch_dia.dac_config import DacConfig
from tramontane_arch_dia.dac_files import read_dac

from .dia_folder import random_dac

FRAMES = 75


@pytest.fixture(scope="module")
def theirs() -> Any:
    return random_dac()


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    return torch.randint(0, 1024, (FRAMES, 9), generator=torch.Generator().manual_seed(4))


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    random = torch.Generator().manual_seed(5)
    wave = torch.sin(torch.arange(512 * FRAMES) / 20) / 2
    return wave + torch.randn(len(wave), generator=random) / 10


@torch.inference_mode()
def test_samples_and_codes_are_those_of_transformers(
    theirs: Any, codes: torch.Tensor, sound: torch.Tensor, tmp_path: Path
) -> None:
    theirs.save_pretrained(tmp_path)
    mine = read_dac(tmp_path)
    expected = theirs.decode(audio_codes=codes.T[None]).audio_values[0]
    torch.testing.assert_close(mine.sound(codes), expected, rtol=0, atol=1e-5)
    assert torch.equal(mine.codes(sound), theirs.encode(sound[None, None]).audio_codes[0].T)


@torch.inference_mode()
def test_windows_give_what_the_whole_gives(
    theirs: Any, codes: torch.Tensor, sound: torch.Tensor, tmp_path: Path
) -> None:
    theirs.save_pretrained(tmp_path)
    mine = read_dac(tmp_path)
    codec = Codec(mine, torch.device("cpu"))
    whole, reach = mine.sound(codes), mine.cfg.decoder_reach
    for start, stop, before, after in windows(FRAMES, reach):
        part = codec.sound(codes[before:after].numpy(), start - before, after - stop)
        rest = whole[start * 512 : stop * 512]
        torch.testing.assert_close(torch.from_numpy(part), rest, rtol=0, atol=1e-5)
    less = mine.sound(codes[20 - 4 : 30 + 4])[4 * 512 : 14 * 512]
    assert (less - whole[20 * 512 : 30 * 512]).abs().max() > 1e-4
    found: Any = at_once(codec.codes(sound[:-100].numpy()))  # type: ignore[arg-type]
    padded = torch.cat((sound[:-100], torch.zeros(100)))
    assert FRAMES > WINDOW
    assert torch.equal(torch.from_numpy(found), mine.codes(padded))


@torch.inference_mode()
@pytest.mark.parametrize("old", [True, False])
def test_weights_whose_length_is_apart(
    codes: torch.Tensor, tmp_path: Path, old: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = random_dac()
    expected = theirs.decode(audio_codes=codes.T[None]).audio_values[0]
    if old:  # names of torch's first way
        monkeypatch.delattr(torch.nn.utils.parametrizations, "weight_norm")
    with pytest.MonkeyPatch.context() as quiet:
        quiet.setenv("PYTHONWARNINGS", "ignore")
        if old:
            with pytest.warns(FutureWarning, match="weight_norm"):
                theirs.apply_weight_norm()
        else:
            theirs.apply_weight_norm()
    names = theirs.state_dict().keys()
    assert any(name.endswith("weight_g" if old else "original0") for name in names)
    theirs.save_pretrained(tmp_path)
    torch.testing.assert_close(read_dac(tmp_path).sound(codes), expected, rtol=0, atol=1e-5)


def makers(theirs: Any) -> dict[str, Any]:
    """The file that DAC's maker would have of the same weights, by the names of its modules."""
    found = {}
    for name, each in theirs.state_dict().items():
        parts = name.split(".")
        side, count = parts[0], 4
        if side in ("encoder", "decoder"):
            inner = "block" if side == "encoder" else "model"
            outer = {"conv1": 0, "snake1": count + 1, "conv2": count + 2}
            if parts[1] in outer:
                parts = [side, inner, str(outer[parts[1]]), *parts[2:]]
            else:
                inside = (
                    {"snake1": "3", "conv1": "4"} if side == "encoder"
                    else {"snake1": "0", "conv_t1": "1"}
                )  # fmt: skip
                place = [side, inner, str(int(parts[2]) + 1), "block"]
                if parts[3] in inside:
                    parts = [*place, inside[parts[3]], *parts[4:]]
                else:
                    unit = int(parts[3][-1]) + (-1 if side == "encoder" else 1)
                    layer = ("snake1", "conv1", "snake2", "conv2").index(parts[4])
                    parts = [*place, str(unit), "block", str(layer), *parts[5:]]
        made = ".".join(parts)
        if each.dim() == 3 and made.endswith("weight"):
            stem = made.removesuffix("weight")
            found[f"{stem}weight_g"] = each.flatten(1).norm(dim=1)[:, None, None]
            found[f"{stem}weight_v"] = each * 3
        else:
            found[made] = each
    config = {
        "encoder_dim": 8, "encoder_rates": [2, 4, 8, 8], "decoder_dim": 32,
        "decoder_rates": [8, 8, 4, 2], "n_codebooks": 9, "codebook_size": 1024, "codebook_dim": 8,
        "quantizer_dropout": 0.5, "sample_rate": 44_100,
    }  # fmt: skip
    return {"state_dict": found, "metadata": {"kwargs": config}}


@torch.inference_mode()
def test_the_makers_own_file(theirs: Any, codes: torch.Tensor, tmp_path: Path) -> None:
    path = tmp_path / "weights_44khz_8kbps_0.0.1.pth"
    torch.save(makers(theirs), path)
    expected = theirs.decode(audio_codes=codes.T[None]).audio_values[0]
    torch.testing.assert_close(read_dac(path).sound(codes), expected, rtol=0, atol=1e-5)


class Evil:
    def __reduce__(self) -> Any:
        return (print, ("run",))


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"state_dict": Evil(), "metadata": {}}, "more in it than numbers"),
        ({"state_dict": {}}, "not DAC's weights"),
        ([1], "not DAC's weights"),
        ({"state_dict": {}, "metadata": {"kwargs": {"encoder_rates": [3]}}}, "even numbers"),
    ],
)
def test_files_that_are_refused(
    held: Any, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(held, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=said):
        read_dac(tmp_path / "a.pth")
    assert "run" not in capsys.readouterr().out


def test_folders_that_are_refused(theirs: Any, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        read_dac(tmp_path)
    theirs.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    for old, new, said in (
        ('"n_codebooks": 9', '"n_codebooks": 12', r"quantizers\.9\.\S+ is missing"),
        ('"n_codebooks": 9', '"n_codebooks": 3', "that no codec of this kind has"),
        ('"codebook_dim": 8', '"codebook_dim": 7', "is expected"),
        ("DacModel", "BertModel", "DacModel is expected"),
        ('"decoder_hidden_size": 32', '"decoder_hidden_size": 33', "cannot be halved"),
    ):
        assert old in text
        (tmp_path / "config.json").write_text(text.replace(old, new))
        with pytest.raises((CheckpointError, ConfigError), match=said):
            read_dac(tmp_path)


def test_reach_of_the_published_codec() -> None:
    assert (DacConfig().decoder_reach, DacConfig().encoder_reach) == (10, 10)
    assert (DacConfig().hop, DiaConfig.model_validate({}).most_delay) == (512, 15)
