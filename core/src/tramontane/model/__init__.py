"""A model from its name to a running engine: what `LLM`, `AsyncLLM` and the server stand on."""
