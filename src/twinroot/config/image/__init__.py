"""The image configuration: one module per section."""
