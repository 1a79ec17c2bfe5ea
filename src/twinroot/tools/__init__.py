"""Other programs: `run` starts them, one module per program knows its arguments and its output."""
