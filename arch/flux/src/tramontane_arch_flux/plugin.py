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
        aliases=("flux",),
        config=f"{HERE}.config:FluxConfig",
        model=f"{HERE}.transformer:FluxTransformer",
        weights=f"{HERE}.names:transformer_rules",
        metadata=f"{HERE}.files:transformer_fields",
        task="image",
        tasks={"image": f"{HERE}.images:FluxImages"},
        parts=f"{HERE}.files:parts",
        told_by=("double_blocks.0.img_attn.qkv.weight", "final_layer.linear.weight"),
    )
    yield Architecture(
        name="T5EncoderModel",
        config=f"{HERE}.config:T5Config",
        model=f"{HERE}.t5:T5Encoder",
        weights=f"{HERE}.names:T5_WEIGHTS",
        metadata=f"{HERE}.files:t5_fields",
        told_by=(
            "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
            "encoder.block.0.layer.1.DenseReluDense.wi_1.weight",
        ),
        task="",
    )
    yield Architecture(
        name="CLIPTextModel",
        config=f"{HERE}.config:ClipTextConfig",
        model=f"{HERE}.clip_text:ClipText",
        weights=f"{HERE}.names:CLIP_WEIGHTS",
        metadata=f"{HERE}.files:clip_fields",
        told_by=(
            "text_model.embeddings.token_embedding.weight",
            "text_model.encoder.layers.0.self_attn.q_proj.weight",
        ),
        task="",
    )
    yield Architecture(
        name="AutoencoderKL",
        config=f"{HERE}.config:VaeConfig",
        model=f"{HERE}.vae:Vae",
        weights=f"{HERE}.names:vae_rules",
        metadata=f"{HERE}.files:vae_fields",
        told_by=("decoder.mid.attn_1.q.weight", "encoder.down.0.block.0.conv1.weight"),
        task="",
    )
