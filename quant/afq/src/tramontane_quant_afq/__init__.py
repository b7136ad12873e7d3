"""MLX's quantized layers, which mistral.rs calls AFQ."""
