"""The tests: what the library promises, said by the behaviour that each one names."""
