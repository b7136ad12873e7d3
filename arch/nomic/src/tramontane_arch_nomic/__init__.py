"""NomicBERT: an encoder of long texts for vectors."""
