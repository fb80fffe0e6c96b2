"""`photopeakd phantom`: made-up studies of known truth, as the objects a camera would send."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import generate_uid

from core.commands import Arguments, command, say
from core.dicom.compose import Camera, Ordered, compose
from core.dicom.tracers import TRACERS
from core.errors import Invalid
from core.imaging.phantom import BY_NAME
from core.settings import Settings


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the command."""
    making = command(commands, "phantom", _phantom, "write a made-up study of known truth as DICOM files")
    making.add_argument("name", metavar="NAME", nargs="?", help="one of those listed without a name")
    making.add_argument("--out", type=Path, metavar="FOLDER", default=Path(), help="where to (here)")
    making.add_argument("--seed", type=int, default=1, metavar="N", help="the same chance makes the same counts")
    making.add_argument("--patient", default="PHANTOM", metavar="NUMBER", help="the patient's number")
    making.add_argument("--accession", default="", metavar="NUMBER", help="the number of the exam")


def _phantom(_given: Settings, arguments: Arguments) -> int:
    if not arguments.name:
        say(arguments, sorted(BY_NAME), "\n".join(BY_NAME))
        return 0
    if arguments.name not in BY_NAME:
        raise Invalid(f"there is no phantom {arguments.name}: one of {', '.join(BY_NAME)}")
    make, product = BY_NAME[arguments.name]
    made = make(np.random.default_rng(arguments.seed))
    who = Ordered(arguments.patient, "Phantom", accession=arguments.accession, procedure_description=arguments.name)
    objects = compose(
        made.acquisitions, who, Camera("PHANTOM"), TRACERS[product], uid=generate_uid, clock=lambda: datetime.now(UTC)
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    files = [arguments.out / f"{arguments.name}-{number:03}.dcm" for number in range(1, len(objects) + 1)]
    for dataset, path in zip(objects, files, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    facts = {"files": [str(path) for path in files], "truth": dict(made.truth)}
    answers = "".join(f"\n  {name}: {value:.6g}" for name, value in made.truth.items())
    say(arguments, facts, f"{len(files)} written to {arguments.out}; what is true of them:{answers or ' nothing'}")
    sys.stdout.flush()
    return 0
