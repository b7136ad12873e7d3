"""An HTTP server for Tramontane."""
