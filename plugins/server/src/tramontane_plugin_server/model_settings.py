"""Settings of one model that a server serves. Every field is an option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from tramontane.cli.adapter_options import named
from tramontane.errors import UsageError

Count: TypeAlias = Annotated[int, Field(ge=1)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NameOrNumber: TypeAlias = Annotated[str, Field(coerce_numbers_to_str=True)]


class ModelSettings(BaseModel):
    """One model: how to load it, and how requests share it. `[[models]]` in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field("default", description="a folder, a model file, org/name, or installed")
    name: str | None = Field(
        None, min_length=1, description="name in requests; default: the file's name"
    )
    alias: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="another name in requests; repeatable, *: any unknown name"
    )
    lora: tuple[str, ...] = Field(
        (), description="an adapter that requests may choose, NAME=SOURCE[:WEIGHT]; repeatable"
    )
    lora_merge: bool = Field(
        False, description="merge all of lora into the weights: as fast as without, and no choice"
    )
    xlora_order: Path | None = Field(
        None, description="which adapters and layers an X-LoRA's classifier knows by which numbers"
    )
    tgt_non_granular_index: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, description="after N tokens of an answer, an X-LoRA's scalings stay as they are"
    )
    load: Literal["start", "demand"] = Field(
        "start", description="when to load: at the start, or on the first request"
    )
    revision: str | None = Field(None, description="branch, tag or commit on the hub")
    token_source: str = Field("cache", description="the hub's token: cache, none, env:NAME, ...")
    device: str = Field("auto", description="auto, reference, or a backend's name")
    gpu_layers: NameOrNumber | None = Field(
        None, description="how many of the last layers are on the device: a number, all or auto"
    )
    device_map: str | None = Field(
        None, description="layers on devices: cuda:0=0-15,cpu=16-31, or 0:16;1:16"
    )
    n_cpu_moe: NameOrNumber | None = Field(
        None, description="of how many layers the experts stay on the processor: a number or all"
    )
    tp: NameOrNumber | None = Field(
        None, description="processes that compute it, each with a share of the weights; or auto"
    )
    tp_nodes: str | None = Field(
        None, description="which of several machines this is: I/M@HOST:PORT"
    )
    tp_timeout: Annotated[float, Field(gt=0)] = Field(
        30.0, description="seconds after which a process that does not answer is given up"
    )
    interconnect: str | None = Field(
        None, description="what processes exchange numbers over: shm, gloo, nccl, ring"
    )
    dtype: Literal["auto", "f32", "bf16", "f16"] = Field("auto", description="of activations")
    activations: Literal["auto", "f32"] = Field(
        "auto", description="f32: do not round what packed weights are multiplied with"
    )
    kv_type: Literal["auto", "f32", "bf16", "f16", "int8", "int4", "f8e4m3", "f8e5m2"] = Field(
        "auto",
        description="type of the KV cache; int8 takes about half of f16's memory, int4 a quarter",
    )
    quant: NameOrNumber | None = Field(
        None, description="choose the file of 2 to 8 bits, a kind or auto, or quantize to it"
    )
    isq: NameOrNumber | None = Field(
        None, description="quantize while loading: 2 to 8 bits, or a kind such as q4_k"
    )
    isq_organization: Literal["default", "moqe"] = Field(
        "default", description="moqe: quantize experts only"
    )
    topology: Path | None = Field(
        None, description="YAML file with kinds and devices of single layers or weights"
    )
    imatrix: Path | None = Field(
        None, description="file that tells how much each column of a matrix matters"
    )
    calibration_file: Path | None = Field(
        None, description="text on which to measure that first; takes the whole model's memory"
    )
    threads: Count | None = Field(None, description="default: physical cores")
    num_ctx: Count | None = Field(None, description="context in tokens")
    mmproj: str | None = Field(
        None,
        description="a GGUF model's encoder of images; default: the one in its folder or "
        "repository, if it fits",
    )
    no_mmproj: bool = Field(
        False, description="do not look for a GGUF model's encoder of images: take text only"
    )
    chat_template: Path | None = Field(None, description="a .jinja or .json file")
    tool_caller: str | None = Field(
        None, description="how the model writes calls, if its chat template does not show it"
    )
    hf_cache: Path | None = Field(None, description="the folder of downloads")
    mmap: bool = Field(True, description="map the file; without, read weights into memory")
    force: bool = Field(False, description="load even if memory seems too small")
    rope_freq_base: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="base of the rotary embedding"
    )
    rope_freq_scale: float | None = Field(
        None, gt=0, le=1, description="scale of rotary positions: 0.5 doubles the trained context"
    )
    batch_size: Count = Field(512, description="prompt tokens per step")
    max_batched_tokens: Count | None = Field(
        None, description="tokens per step in all, of prompts and answers"
    )
    max_seqs: Count = Field(32, description="sequences generated at once; more wait")
    kv_tokens: Count | None = Field(
        None, description="KV cache in tokens, for all requests; default: four contexts"
    )
    kv_memory: str | None = Field(
        None, description="KV cache in bytes (4GB), or as a share of free memory (40%)"
    )
    state_slots: Count | None = Field(
        None, description="sequences and snapshots whose states are kept, in models that have any"
    )
    media_cache: Count = Field(
        256 << 20, description="bytes of encoded media that are kept, in models that take any"
    )
    max_edge: Count | None = Field(
        None, description="reduce images to this many pixels of their longest side first"
    )
    video_fps: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="frames of each second of a video that are looked at"
    )
    max_num_images: Count = Field(64, description="images in one conversation")
    prefix_cache: bool = Field(True, description="reuse the KV cache of common prompt prefixes")
    draft: str = Field(
        "none",
        description="what guesses tokens ahead, so that one step computes several: ngram or "
        "ngram:n=3:max=16, or a smaller model of the same vocabulary; answers are the same",
    )
    max_waiting: Count = Field(256, description="length of the queue; requests beyond it get 429")
    queue_timeout: Seconds = Field(
        120.0, description="seconds that a request may wait in the queue"
    )

    @property
    def encoder_file(self) -> str | Literal[False] | None:
        """`LoadOptions.mmproj`."""
        return False if self.no_mmproj else self.mmproj

    @model_validator(mode="after")
    def _one_encoder(self) -> ModelSettings:
        if self.no_mmproj and self.mmproj is not None:
            raise ValueError(
                f"mmproj={self.mmproj!r} and no_mmproj exclude each other: keep one of them"
            )
        return self

    @field_validator("lora")
    @classmethod
    def _named(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        try:
            names = [named(one)[0] for one in given]
        except UsageError as error:
            raise ValueError(error.message) from error
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two adapters are called {name!r}: give one another name")
        return given

    @model_validator(mode="after")
    def _something_to_merge(self) -> ModelSettings:
        if self.lora_merge and not self.lora:
            raise ValueError("lora_merge merges what lora names: give lora NAME=SOURCE")
        if self.mixing and (self.lora_merge or not self.lora):
            raise ValueError(
                f"{next(iter(self.mixing))} is for an X-LoRA that lora names: give lora "
                "NAME=SOURCE, and no lora_merge"
            )
        return self

    @property
    def mixing(self) -> dict[str, Path | int]:
        """What is said about an X-LoRA."""
        given = {
            "xlora_order": self.xlora_order, "tgt_non_granular_index": self.tgt_non_granular_index
        }  # fmt: skip
        return {name: value for name, value in given.items() if value is not None}

    def adapters(self) -> dict[str, tuple[str, float]]:
        """The sources and weights of the adapters that requests choose, by their names."""
        return {} if self.lora_merge else dict(map(named, self.lora))

    def merged(self) -> dict[str, tuple[str, float]]:
        """Those of the adapters that become part of the weights."""
        return dict(map(named, self.lora)) if self.lora_merge else {}


def name_of(model: ModelSettings) -> str:
    """What requests call a model: its name, or the last part of where it comes from."""
    if model.name is not None:
        return model.name
    path = Path(model.model)
    return path.stem if path.suffix == ".gguf" else path.name or model.model
