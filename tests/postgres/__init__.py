"""The store for many machines, on a real server."""
