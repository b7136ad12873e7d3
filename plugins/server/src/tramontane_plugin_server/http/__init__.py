"""What every request passes: keys, limits, logs, errors, streams."""
