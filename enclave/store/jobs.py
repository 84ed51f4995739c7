"""RQ's jobs as our scripts enqueue them: a job says "N has work", and carries no truth itself."""

from __future__ import annotations

import uuid
from functools import cached_property

from rq import Queue
from rq.serializers import JSONSerializer

from enclave.store.database import Database, Word, unavailable_when_lost

NO_TIMEOUT = -1
"""RQ's default is 180 s; each step of ours has its own."""

END_OF_WORDS = 0
"""Ends a job's words where other words follow (``commands.lua``)."""

FAILURE_SECONDS = 3600
"""RQ keeps a job that failed, or whose work horse died, for so long."""


class Jobs:
    """The jobs of one kind, in the RQ queue ``name``: each calls ``function`` with a number."""

    def __init__(self, database: Database, name: str, function: str) -> None:
        self._database, self._name, self._function = database, name, function

    @cached_property
    def queue(self) -> Queue:
        """RQ's queue; raises ``redis``'s errors."""
        queue = Queue(self._name, connection=self._database.raw, serializer=JSONSerializer)
        queue.get_redis_server_version()  # asked once: RQ keeps it
        return queue

    def words(self, number: int) -> list[Word]:
        """Return the commands with which RQ would enqueue a job, flattened for ``commands.lua``.

        They run inside our transaction: no work without its wake-up, none for what was not
        accepted. Every job has an id of its own: RQ deletes a job by its id when it ends, so an
        id used twice could delete the next one. The id begins with the number.
        """
        pipeline = self._database.raw.pipeline()
        with unavailable_when_lost():  # RQ asks Redis for its version
            self.queue.enqueue_call(
                self._function,
                args=(number,),
                timeout=NO_TIMEOUT,
                result_ttl=0,
                failure_ttl=FAILURE_SECONDS,
                job_id=f"{number}-{uuid.uuid4().hex}",
                pipeline=pipeline,
            )
        words: list[Word] = []
        for command, _options in pipeline.command_stack:
            words += [len(command), *(_word(word) for word in command)]
        return words

    def waiting(self) -> set[int]:
        """Return the numbers whose job no worker has taken yet: all workers are busy."""
        with unavailable_when_lost():
            jobs = self.queue.get_job_ids()
        first = (job.partition("-")[0] for job in jobs)
        return {int(number) for number in first if number.isdecimal()}


def _word(word: object) -> Word:
    """Return one word as Redis gets it: an enum by its value."""
    return word if isinstance(word, bytes | int) else str(getattr(word, "value", word))
