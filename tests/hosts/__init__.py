"""Hosts of all kinds, built from the documentation alone."""
