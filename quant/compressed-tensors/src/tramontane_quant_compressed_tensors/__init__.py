"""compressed-tensors: several ways to store a matrix, named by a configuration."""
