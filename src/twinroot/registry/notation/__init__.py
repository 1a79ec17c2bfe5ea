"""Signatures of the Notary Project ("notation"): envelopes, trust policies and stores, verification."""
