"""The HTTP interface, as its callers meet it."""
