"""Hands runs to Trigger.dev over plain HTTP, for callers who block and for callers who await.

Floor 5; needs the extra ``trigger`` (httpx2, stamina). ::

    runs = Runs(store, TriggerDev.from_environment(public_url="https://research.example.com/api"))

What is sent and what an answer means is defined once, in pure functions: `contract` and `conversations`.
"""

from research_fsm.dispatchers.trigger_dev.client import AsyncTriggerDev, TriggerDev
from research_fsm.dispatchers.trigger_dev.conversations import Check
from research_fsm.dispatchers.trigger_dev.settings import TriggerDevSettings

__all__ = ["AsyncTriggerDev", "Check", "TriggerDev", "TriggerDevSettings"]
