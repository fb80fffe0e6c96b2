"""`photopeakd send`, `fetch` and `query`: objects to and from other archives.

The job is written down first, then worked on by this command or by the running service, whichever comes first to it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from core import wire
from core.commands import Arguments, bar, command, operator, say
from core.commands.jobs import line
from core.errors import PeerFailed, Refused
from core.jobs import Jobs
from core.opening import FolderLock, make_folder, open_records
from core.records import Records
from core.service import open_keeper, peer_of, runners
from core.settings import Settings
from core.vocabulary import JobState
from core.workflow import commitment, devices, fetching, queue, sending

_LOOK_EVERY = 0.2
_QUERY = "accession, patient number, Study UID, or KEY=VALUE words such as PatientID=P1 StudyDate=20260301-"


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    out = command(commands, "send", _send, "send objects to a known node (C-STORE)")
    out.add_argument("--commit", action="store_true", help="ask the node to answer for them (storage commitment)")
    fetch = command(commands, "fetch", _fetch, "have a known node send objects here (C-FIND, C-MOVE)")
    fetch.add_argument("--get", action="store_true", help="on our own association (C-GET): the node need not know us")
    for parser in (out, fetch):
        parser.add_argument("--no-wait", action="store_true", help="queue it and end; the service does the work")
    asking = command(commands, "query", _query, "ask a known node what it has (C-FIND)")
    for parser in (out, fetch, asking):
        parser.add_argument("aet")
        parser.add_argument("query", nargs="+", metavar="QUERY", help=_QUERY)


def _send(given: Settings, arguments: Arguments) -> int:
    records = open_records(given)
    with records.writing() as work:
        job = sending.enqueue(work, operator(given), arguments.aet, arguments.query, commit=arguments.commit)
    return worked(given, arguments, records, job)


def _fetch(given: Settings, arguments: Arguments) -> int:
    if not arguments.no_wait and not arguments.get and not _is_served(given):
        raise Refused("what is fetched comes to the listener: start 'photopeakd serve' first, or fetch with --get")
    records = open_records(given)
    with records.writing() as work:
        job = fetching.enqueue(work, operator(given), arguments.aet, arguments.query, get=arguments.get)
    return worked(given, arguments, records, job)


def _is_served(given: Settings) -> bool:
    make_folder(given)
    lock = FolderLock(given.data)
    try:
        lock.hold()
    except Refused:
        return True
    lock.release()
    return False


def worked(given: Settings, arguments: Arguments, records: Records, job: wire.Job) -> int:
    """Wait for a job, working on its lane meanwhile, and say how it ended."""
    if arguments.no_wait:
        say(arguments, job, f"queued: {line(job).strip()}")
        return 0
    name = f"{socket.gethostname()}:{os.getpid()}"
    jobs = Jobs(records, runners(given, records, open_keeper(given)), name=name, lanes=[job.lane])
    jobs.start()
    try:
        with bar(job.kind) as draw:
            ended = _followed(given, records, job.id, draw)
    finally:
        jobs.stop()
    if ended.state is JobState.QUEUED:
        raise PeerFailed(f"{ended.error}; job {ended.id} stays queued, and is tried again by the service")
    say(arguments, ended, line(ended).strip())
    return 0 if ended.state is JobState.DONE else 1


def _followed(given: Settings, records: Records, number: int, draw: Any) -> wire.Job:  # noqa: ANN401 - of `bar`
    """Return a job once it has ended with what follows it, or waits for its next attempt."""
    while True:
        with records.reading() as work:
            job = queue.one(work, operator(given), number)
            follow = commitment.still_asking(work, number)
        draw(job.done, job.total)
        waits = job.state is JobState.QUEUED and job.error
        if waits or (job.state not in queue.OPEN and not follow):
            return job
        time.sleep(_LOOK_EVERY)


def _query(given: Settings, arguments: Arguments) -> int:
    with open_records(given).reading() as work:
        device = devices.shape(devices.named(work, arguments.aet))
    found = fetching.query(operator(given), peer_of(given, device), arguments.query)
    say(arguments, found, "\n".join(map(_told, found)) or f"{device.aet} has nothing that answers to the query")
    return 0 if found else 1


def _told(facts: dict[str, str]) -> str:
    shown: Sequence[str] = ("StudyDate", "AccessionNumber", "PatientID", "PatientName", "ModalitiesInStudy",
                            "StudyDescription", "Modality", "SeriesDescription", "NumberOfStudyRelatedInstances",
                            "NumberOfSeriesRelatedInstances", "StudyInstanceUID", "SeriesInstanceUID")  # fmt: skip
    return "  ".join(facts[key] for key in shown if facts.get(key))
