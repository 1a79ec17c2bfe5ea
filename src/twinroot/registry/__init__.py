"""OCI registries: references resolved, artifacts pulled and pushed, what was pulled cached, signatures verified."""
