"""The language of host configurations, one module for each section (host-config spec)."""
