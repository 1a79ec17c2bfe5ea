"""The agent: what a machine is told to be, and what was done about it (servicing spec)."""
