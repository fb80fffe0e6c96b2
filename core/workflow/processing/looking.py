"""Look at a step of a processing, drawn as the viewer draws a stored object."""

from __future__ import annotations

from core import access, wire
from core.access import Actor
from core.errors import Invalid, NotFound
from core.imaging.display import PictureRequest, render, travelling
from core.imaging.frames import Frames
from core.imaging.window import Window
from core.model import Exam, Processing
from core.records import Work
from core.vocabulary import Operation
from core.workflow.processing import asking
from core.workflow.processing.shelf import Shelf


def stage_of(work: Work, actor: Actor, number: int, name: str) -> tuple[Processing, wire.Stage]:
    """Return a processing and one of its stages, for somebody who may look at it.

    Raises
    ------
    NotFound
        It has no such stage.
    """
    row = asking.named(work, actor, number)
    own = work.session.get_one(Exam, row.exam_id).assigned_to == actor.name
    access.require(actor, Operation.VIEW_IMAGES, own=own)
    stages = {one.name: one for one in map(wire.Stage.model_validate, row.stages)}
    if name not in stages:
        names = ", ".join(stages) or "none yet"
        raise NotFound(f"processing {number} has no stage '{name}': it has {names}")
    return row, stages[name]


def picture(shelf: Shelf, number: int, stage: wire.Stage, look: wire.Look) -> dict[str, object]:
    """Draw a stage, in the shape that travels (`core.imaging.display.travelling`).

    Raises
    ------
    Invalid
        There is no such frame, colour map, size or zoom.
    """
    array = shelf.stage(number, stage.name)
    spacing = (stage.voxel_mm[1], stage.voxel_mm[2]) if stage.voxel_mm else None
    frames = Frames(
        array, spacing_mm=spacing, labels=tuple(_labels(stage)), modality="NM", unit=stage.unit, inverted=look.invert
    )
    window = Window(look.lower, look.upper) if look.lower is not None and look.upper is not None else None
    try:
        return travelling(
            render(
                frames,
                PictureRequest(
                    rows=look.rows, columns=look.columns, frame=look.frame, shown=look.grid, palette=look.map,
                    window=window, automatic="robust" if look.auto == "own" else look.auto,
                    scaling="smooth" if look.smooth else "nearest", zoom=look.zoom,
                    centre=(look.centre_row, look.centre_column),
                ),
            )
        )  # fmt: skip
    except ValueError as error:
        raise Invalid(str(error)) from error


def _labels(stage: wire.Stage) -> list[str]:
    each = stage.frames // max(stage.moments, 1)
    if stage.moments <= 1:
        return [f"{number + 1}" for number in range(stage.frames)]
    return [f"{number // each + 1}/{number % each + 1}" for number in range(stage.frames)]
