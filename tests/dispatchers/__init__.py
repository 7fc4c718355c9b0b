"""Tests of the dispatchers to outside engines."""
