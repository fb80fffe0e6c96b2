"""`photopeakd jobs`: what waits, runs and failed; giving up and trying again."""

from __future__ import annotations

from typing import Any

from core import wire
from core.commands import Arguments, command, operator, say, spelled
from core.opening import open_records
from core.settings import Settings
from core.vocabulary import JobState
from core.workflow import queue


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    kinds = commands.add_parser("jobs", help="the queue of work").add_subparsers(required=True, metavar="ACTION")
    listing = command(kinds, "list", _list, "list the jobs, the latest first")
    listing.add_argument("--state", type=spelled, choices=[state.value for state in JobState])
    listing.add_argument("--limit", type=int, default=100)
    for name, text in (("cancel", "give up a job"), ("retry", "try a job again now")):
        changing = command(kinds, name, _change, text)
        changing.add_argument("job", type=int)
        changing.set_defaults(change=queue.cancel if name == "cancel" else queue.retry)


def _list(given: Settings, arguments: Arguments) -> None:
    state = JobState(arguments.state) if arguments.state else None
    with open_records(given).reading() as work:
        jobs = queue.listing(work, operator(given), state=state, limit=arguments.limit)
    say(arguments, jobs, "\n".join(map(line, jobs)))


def _change(given: Settings, arguments: Arguments) -> None:
    with open_records(given).writing() as work:
        job = arguments.change(work, operator(given), arguments.job)
    say(arguments, job, line(job))


def line(job: wire.Job) -> str:
    """Tell a job in one line."""
    done = f"{job.done}/{job.total}" if job.total else ""
    again = f"again at {job.due_at:%H:%M:%S}: " if job.state is JobState.QUEUED and job.error else ""
    return f"{job.id:6} {job.state:10} {job.lane or job.kind:24} {done:>11}  {again}{job.error}".rstrip()
