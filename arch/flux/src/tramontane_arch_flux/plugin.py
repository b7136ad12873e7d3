"""What this distribution offers."""

from collections.abc import Iterator

from tramontane.plugin import Architecture, hookimpl

HERE = "tramontane_arch_flux"


@hookimpl
def architectures() -> Iterator[Architecture]:
    yield Architecture(
        name="FluxPipeline",
        aliases=("FluxImg2ImgPipeline",),
        config=f"{HERE}.config:PipelineConfig",
        model="",
        task="image",
        tasks={"image": f"{HERE}.images:FluxImages"},
    )
    yield Architecture(
        name="FluxTransformer2DModel",
        config=f"{HERE}.config:FluxConfig",
        model=f"{HERE}.transformer:FluxTransformer",
        weights=f"{HERE}.names:transformer_rules",
        task="",
    )
    yield Architecture(
        name="T5EncoderModel",
        config=f"{HERE}.config:T5Config",
        model=f"{HERE}.t5:T5Encoder",
        weights=f"{HERE}.names:T5_WEIGHTS",
        task="",
    )
    yield Architecture(
        name="CLIPTextModel",
        config=f"{HERE}.config:ClipTextConfig",
        model=f"{HERE}.clip_text:ClipText",
        weights=f"{HERE}.names:CLIP_WEIGHTS",
        task="",
    )
    yield Architecture(
        name="AutoencoderKL",
        config=f"{HERE}.config:VaeConfig",
        model=f"{HERE}.vae:Vae",
        weights=f"{HERE}.names:vae_rules",
        task="",
    )
