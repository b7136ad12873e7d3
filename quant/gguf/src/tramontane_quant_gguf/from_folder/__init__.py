"""From a folder to a GGUF file: names, rows, settings and vocabulary, backwards."""
