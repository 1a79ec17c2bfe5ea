"""Configuring a newly written system, in its tree and by its own programs (servicing spec, section 12)."""
