"""The audit: what verify finds, and where."""
