"""The OS tree: one module per config section."""
