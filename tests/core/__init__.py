"""The pure core, and the doors that stand on it, against the reference store."""
