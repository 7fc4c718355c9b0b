"""The parts of the conformance suites; import them from `research_fsm.testing.conformance`."""
