"""AnyMoE: a mixture of experts made of a dense model, with a small gate that is trained here."""
