"""From a folder of Hugging Face's to a GGUF file: names, rows, settings and vocabulary, backwards."""
