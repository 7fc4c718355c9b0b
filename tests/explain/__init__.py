"""Explanations and time travel: what the log says of now and of then."""
