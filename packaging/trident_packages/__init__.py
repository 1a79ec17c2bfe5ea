"""Packages of the agent: what is in them, the self-contained tree, and RPM and Debian archives of it."""
