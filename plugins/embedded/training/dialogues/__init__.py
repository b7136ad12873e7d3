"""What the embedded model is taught to say, one kind of dialogue per file."""
