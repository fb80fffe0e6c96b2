"""`photopeakd print` and `printer`: an exam's images on film, and how a printer is."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import ValidationError

from core import wire
from core.commands import Arguments, command, operator, say
from core.commands.sending import worked
from core.errors import Invalid
from core.opening import open_records
from core.service import peer_of
from core.settings import Settings
from core.wire.printing import FilmSize
from core.workflow import devices, printing


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands."""
    films = command(commands, "print", _print, "print an exam's images on a known DICOM printer")
    films.add_argument("aet")
    films.add_argument("exam", metavar="ACCESSION")
    films.add_argument("--layout", metavar="2x3", help="columns x rows; chosen by the number of images unless given")
    films.add_argument("--bits", type=int, choices=(8, 12), default=8, help="depth of the grey levels")
    films.add_argument("--series", action="append", default=[], metavar="UID", help="only this series")
    films.add_argument("--frames", metavar="1-8,12", help="of every object only these frames")
    films.add_argument("--copies", type=int, default=1)
    films.add_argument("--film-size", choices=get_args(FilmSize), default="14INX17IN", metavar="14INX17IN")
    films.add_argument("--landscape", action="store_true")
    films.add_argument("--medium", choices=("PAPER", "CLEAR FILM", "BLUE FILM"), default="")
    films.add_argument("--priority", choices=("LOW", "MED", "HIGH"), default="MED")
    films.add_argument("--inverse", action="store_true", help="dark on bright")
    films.add_argument("--no-caption", action="store_true", help="without patient and exam under the images")
    films.add_argument("--no-wait", action="store_true", help="queue it and end; the service does the work")
    command(commands, "printer", _printer, "ask a DICOM printer how it is").add_argument("aet")


def _print(given: Settings, arguments: Arguments) -> int:
    records = open_records(given)
    with records.writing() as work:
        job = printing.enqueue(work, operator(given), arguments.exam, _form(arguments))
    return worked(given, arguments, records, job)


def _form(arguments: Arguments) -> wire.PrintFilms:
    said = {name: getattr(arguments, name) for name in ("aet", "layout", "bits", "series", "frames", "copies",
                                                        "film_size", "medium", "priority", "inverse")}  # fmt: skip
    orientation = "landscape" if arguments.landscape else "portrait"
    try:
        return wire.PrintFilms.model_validate({**said, "orientation": orientation, "caption": not arguments.no_caption})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise Invalid(wrong) from error


def _printer(given: Settings, arguments: Arguments) -> int:
    with open_records(given).reading() as work:
        device = devices.shape(devices.named(work, arguments.aet))
    found = printing.state(operator(given), device, peer_of(given, device))
    made = " ".join(filter(None, (found.manufacturer, found.model, found.name)))
    say(arguments, found, f"{found.aet}: {found.status} {found.info}".rstrip() + (f" ({made})" if made else ""))
    return 0 if found.status != "FAILURE" else 1
