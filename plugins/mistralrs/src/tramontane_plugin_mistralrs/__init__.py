"""mistral.rs's command lines and Python names, run by Tramontane."""
