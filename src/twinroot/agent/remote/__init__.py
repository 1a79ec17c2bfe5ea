"""The agent as a service: messages of the peer's gRPC interface, and what they mean (servicing spec, section 17)."""
