"""Results: COSI and disk images in every format."""
