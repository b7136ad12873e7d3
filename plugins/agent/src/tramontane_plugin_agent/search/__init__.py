"""Web search: find pages, read them, and pick what answers a question."""
