"""Tools for models, off until the owner turns them on, and sessions that are kept."""
