"""Verify a log that somebody else wrote: is it whole, is it legal, does the money add up.

Floor 6. `verification` looks at everything, `states` at what can be seen without decoding anything. Both stand on
`memory`, which bounds what is remembered, `streams`, what is known of each stream, `follow`, event by event, and
`beside`, what stands beside the log, with `receipts` and `addresses`. `owners` sorts what was found, and `apart` does
it in another process. All of them read, and none writes to what it reads.
"""

from research_fsm.audit.verification import OF_EVENTS, asked, verify, verify_events

__all__ = ["OF_EVENTS", "asked", "verify", "verify_events"]
