"""Proofs: searches that must find nothing, and the mutants that they must find."""
