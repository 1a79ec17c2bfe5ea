"""What people write: YAML with its places, models of every section, checks."""
