"""The queue's wake-up calls: an RQ job that says "app N has work".

RQ carries no truth: the app's own list of operations does. A wake-up that is lost is repeated by
the reconciler; one too many finds the app idle or taken, and ends.
"""

from __future__ import annotations

from rq import Queue
from rq.serializers import JSONSerializer

from enclave.store.database import Database, Word, unavailable_when_lost

QUEUE_NAME = "operations"
JOB = "worker.job.work_on_app"
_NO_TIMEOUT = -1  # RQ's default is 180 s; we time every step ourselves


def wakeup_words(database: Database, app_id: int) -> list[Word]:
    """Return the commands with which RQ would enqueue a wake-up, flattened for ``prelude.lua``.

    They run inside our transaction: no operation without its wake-up, none for one that was not
    accepted. Every wake-up is a job of its own: RQ deletes a job by its id when it ends, so an id
    used twice could delete the next one.
    """
    pipeline = database.raw.pipeline()
    with unavailable_when_lost():  # RQ asks Redis for its version
        queue = Queue(QUEUE_NAME, connection=database.raw, serializer=JSONSerializer)
        queue.enqueue_call(
            JOB,
            args=(app_id,),
            timeout=_NO_TIMEOUT,
            result_ttl=0,
            failure_ttl=3600,
            pipeline=pipeline,
        )
    words: list[Word] = []
    for command, _options in pipeline.command_stack:
        words += [len(command), *(_word(word) for word in command)]
    return words


def _word(word: object) -> Word:
    """Return one word as Redis gets it: an enum by its value."""
    return word if isinstance(word, bytes | int) else str(getattr(word, "value", word))
