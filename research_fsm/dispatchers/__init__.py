"""Who is handed the work, beside the embedded queue's own workers. Each is imported explicitly and has its own extra.

* `research_fsm.dispatchers.procrastinate`: procrastinate, inside the same PostgreSQL; the extra ``procrastinate``.
* `research_fsm.dispatchers.trigger_dev`: Trigger.dev, over plain HTTP; the extra ``trigger``.
"""
