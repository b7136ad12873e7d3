"""ggml's tensor types, each as one of the packed layouts."""
