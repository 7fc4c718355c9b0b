"""The parts of the conformance suite; import them from `research_fsm.testing.conformance`.

A package of its own, so that pytest is told once to show the values of every assertion in it.
"""
