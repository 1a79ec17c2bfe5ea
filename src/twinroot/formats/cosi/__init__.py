"""The COSI file: metadata, writer, reader, checks."""
