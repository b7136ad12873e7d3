"""Their names of architectures, and the classes of checkpoints that each is."""

from __future__ import annotations

TEXT: dict[str, tuple[str, ...]] = {
    "mistral": ("MistralForCausalLM",),
    "gemma": ("GemmaForCausalLM",),
    "mixtral": ("MixtralForCausalLM",),
    "llama": ("LlamaForCausalLM",),
    "phi2": ("PhiForCausalLM",),
    "phi3": ("Phi3ForCausalLM",),
    "qwen2": ("Qwen2ForCausalLM",),
    "gemma2": ("Gemma2ForCausalLM",),
    "starcoder2": ("Starcoder2ForCausalLM",),
    "phi3.5moe": ("PhiMoEForCausalLM", "PhimoeForCausalLM"),
    "deepseekv2": ("DeepseekV2ForCausalLM",),
    "deepseekv3": ("DeepseekV3ForCausalLM",),
    "qwen3": ("Qwen3ForCausalLM",),
    "glm4": ("Glm4ForCausalLM",),
    "glm4moelite": ("Glm4MoeLiteForCausalLM",),
    "glm4moe": ("Glm4MoeForCausalLM",),
    "qwen3moe": ("Qwen3MoeForCausalLM",),
    "smollm3": ("SmolLM3ForCausalLM",),
    "granitemoehybrid": ("GraniteMoeHybridForCausalLM",),
    "gpt_oss": ("GptOssForCausalLM",),
    "gptoss": ("GptOssForCausalLM",),
    "hunyuanv1dense": ("HunYuanDenseV1ForCausalLM",),
    "hunyuanv1moe": ("HunYuanMoEV1ForCausalLM",),
    "qwen3next": ("Qwen3NextForCausalLM",),
    "lfm2": ("Lfm2ForCausalLM",),
    "lfm2_moe": ("Lfm2MoeForCausalLM",),
}
VISION: dict[str, tuple[str, ...]] = {
    "phi3v": ("Phi3VForCausalLM",),
    "idefics2": ("Idefics2ForConditionalGeneration",),
    "llava_next": ("LlavaNextForConditionalGeneration",),
    "llava-next": ("LlavaNextForConditionalGeneration",),
    "llava": ("LlavaForConditionalGeneration",),
    "lfm2vl": ("Lfm2VlForConditionalGeneration",),
    "lfm2_vl": ("Lfm2VlForConditionalGeneration",),
    "vllama": ("MllamaForConditionalGeneration",),
    "qwen2vl": ("Qwen2VLForConditionalGeneration",),
    "idefics3": ("Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration"),
    "minicpmo": ("MiniCPMO",),
    "phi4mm": ("Phi4MMForCausalLM", "Phi4MultimodalForCausalLM"),
    "qwen2_5vl": ("Qwen2_5_VLForConditionalGeneration",),
    "gemma3": ("Gemma3ForConditionalGeneration", "Gemma3ForCausalLM"),
    "mistral3": ("Mistral3ForConditionalGeneration",),
    "llama4": ("Llama4ForConditionalGeneration",),
    "gemma3n": ("Gemma3nForConditionalGeneration",),
    "qwen3vl": ("Qwen3VLForConditionalGeneration",),
    "qwen3vlmoe": ("Qwen3VLMoeForConditionalGeneration",),
    "qwen3_5": ("Qwen3_5ForConditionalGeneration", "Qwen3_5ForCausalLM"),
    "qwen3_5moe": ("Qwen3_5MoeForConditionalGeneration",),
    "voxtral": ("VoxtralRealtimeForConditionalGeneration",),
    "gemma4": (
        "Gemma4ForConditionalGeneration", "Gemma4ForCausalLM",
        "Gemma4UnifiedForConditionalGeneration", "Gemma4UnifiedForCausalLM",
    ),
    "muse_glimmer": ("MuseGlimmerForConditionalGeneration",),
    "diffusiongemma": ("DiffusionGemmaForBlockDiffusion",),
}  # fmt: skip
EMBEDDING: dict[str, tuple[str, ...]] = {
    "embeddinggemma": ("Gemma3TextModel",),
    "qwen3embedding": ("Qwen3ForCausalLM", "Qwen3Model"),
}
DIFFUSION = ("flux",)
SPEECH = ("dia",)
CLASSES: dict[str, tuple[str, ...]] = {**TEXT, **VISION, **EMBEDDING}
"""All names that say a class of a `config.json`."""
NAMES = (*CLASSES, *DIFFUSION, *SPEECH)
