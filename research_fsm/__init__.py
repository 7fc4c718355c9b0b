"""Deep research on people: never queued twice, never charged twice, never stuck, always explainable."""
