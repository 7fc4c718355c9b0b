"""Dispatchers to outside engines. Each is imported explicitly and needs an extra of its own.

* `research_fsm.dispatchers.trigger_dev`: Trigger.dev, over plain HTTP; the extra ``trigger``.
"""
