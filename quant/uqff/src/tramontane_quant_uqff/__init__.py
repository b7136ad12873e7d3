"""UQFF files for Tramontane."""
