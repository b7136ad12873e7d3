"""A live view of a running server."""
