"""The APIs that OpenAI's clients speak."""
