"""The command lines of rustformers' llm."""
