"""What is made of images: the recipes there are, what was asked for, what came of it, and each step to look at."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from core.vocabulary import ProcessingState, Recipe
from core.wire.shape import Number, Shape, Short

Value = bool | Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=1000)]
"""Of a parameter: a flag, a number, or a word."""
Parameters = Annotated[dict[Short, Value], Field(max_length=64)]
Objects = Annotated[list[Number], Field(max_length=64)]
"""Series or SOP Instance UIDs."""


class Parameter(Shape):
    """One number or choice of a recipe, as a form asks for it.

    `depends_on` names other parameters and the values of theirs with which this one is used; with others it is left
    out of the form. `group` holds together what stands together.
    """

    name: str
    label: str
    kind: Literal["number", "choice", "flag", "text"]
    unit: str = ""
    choices: list[str] = []
    lowest: float | None = None
    highest: float | None = None
    default: Value
    depends_on: dict[str, list[Value]] = {}
    group: str = ""
    help: str = ""


class RecipeForm(Shape):
    """A way of processing: what it takes and what can be chosen."""

    name: Recipe
    title: str
    takes: str  # which images, in words
    needs_over: bool = False  # whether a second image is to be named
    parameters: list[Parameter]


class Stage(Shape):
    """One step of a processing that can be looked at.

    `kind` says what its frames are: projections, sinogram, linogram, slices, or picture (colours). `voxel_mm` is
    slice, row, column; `labels` has a text for each frame.
    """

    name: str
    title: str
    kind: str = "slices"
    frames: int
    rows: int
    columns: int
    unit: str = ""
    moments: int = 1  # frames are moments times slices
    voxel_mm: list[float] = []
    begin: int | None = None  # the frame in which there is most to see; the middle one unless it is said


class Processing(Shape):
    """One processing of an exam. `said` tells the parameters as people read them: a cut-off in both of its units."""

    id: int
    accession: str
    patient_number: str
    patient_name: str
    patient_name_ideographic: str = ""
    procedure: str
    recipe: Recipe
    title: str
    parameters: dict[str, Value]
    said: list[str] = []
    inputs: list[str]  # SOP Instance UIDs
    over: list[str] = []
    due: bool = False  # asked for by catalogue or protocol: the exam is not ready before it is accepted or discarded
    state: ProcessingState
    done: int = 0
    total: int = 0
    error: str = ""
    warnings: list[str] = []
    stages: list[Stage] = []
    results: list[str] = []  # SOP Instance UIDs, in the archive once it is accepted
    asked_at: AwareDatetime
    asked_by: str = ""
    made_at: AwareDatetime | None = None
    by: str = ""  # who asked: a person, or "rule"
    accepted_by: str = ""
    accepted_at: AwareDatetime | None = None
    replaces: int | None = None
    replaced_by: int | None = None
    version: str = ""
    numbers: dict[str, Any] = {}


class AskedProcessing(Shape):
    """What the catalogue or a protocol names: a recipe and those of its parameters that differ from the usual."""

    recipe: Recipe
    parameters: Parameters = {}


class AskProcessing(AskedProcessing):
    """Ask for a processing now: of these objects, or of what the recipe takes of the exam; `over` is the other one."""

    inputs: Objects = []
    over: Objects = []


class RepeatProcessing(Shape):
    """Do it once more with these parameters changed; the others stay. Numbers named `nudge_...` are added by hand."""

    parameters: Parameters = {}
