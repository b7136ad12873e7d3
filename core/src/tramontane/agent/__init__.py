"""Models that act: toolsets that the owner turned on, approvals, and sessions that are kept."""
