"""Whether a new system is well enough to be kept."""
