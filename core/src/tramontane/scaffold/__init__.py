"""Writing the first files of a plugin."""
