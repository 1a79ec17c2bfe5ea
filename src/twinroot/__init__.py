"""Twinroot builds deployable Linux OS images and puts them on machines. See ARCHITECTURE.md."""

__version__ = "0.1.0"
