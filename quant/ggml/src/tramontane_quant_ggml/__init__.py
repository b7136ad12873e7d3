"""Files from before GGUF: GGML, GGMF and GGJT."""
