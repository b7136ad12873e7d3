"""BERT and its relatives: encoders that make vectors of texts and score pairs."""
