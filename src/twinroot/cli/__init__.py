"""Front doors: argument parsing and rendering only."""
