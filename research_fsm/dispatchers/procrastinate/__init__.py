"""Lets the workers of procrastinate do the research: a job is deferred in the very transaction of the start.

Floor 6; needs the extra ``procrastinate``, and the store in the database that procrastinate works on. ::

    jobs = Procrastinate(queue="research")
    runs = Runs(PostgresStore(ADDRESS, jobs=jobs))  # Where runs are started.
    add_tasks(app, jobs, open_runs, pipeline)  # Where procrastinate's workers are.

The embedded queue stays the truth: a job only says that an entry waits there. Whoever does the job takes that entry,
with a lease, and is taken over when the lease is over; a job whose entry is gone, or with somebody, does nothing.
"""

from research_fsm.dispatchers.procrastinate.jobs import Procrastinate
from research_fsm.dispatchers.procrastinate.tasks import add_tasks

__all__ = ["Procrastinate", "add_tasks"]
