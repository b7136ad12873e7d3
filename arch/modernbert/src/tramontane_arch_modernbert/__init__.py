"""ModernBERT: an encoder of long texts, most layers of which see a window."""
