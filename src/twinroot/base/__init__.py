"""Opening images of any format: facts, and a read-only tree."""
