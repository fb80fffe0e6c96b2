"""How pictures travel, where they lie in the patient, and what is measured on them.

Pixels of a frame or a plane are counted from the upper left corner of the upper left one: pixel (0, 0) reaches from
(0.0, 0.0) to (1.0, 1.0), its middle is (0.5, 0.5). Points are [row, column]; patient points are [x, y, z] in
millimetres, DICOM's LPS.
"""

from typing import Annotated, Literal

from pydantic import Field

from core.wire.images import Finite, Look
from core.wire.shape import Shape, Short

RegionKind = Literal["rectangle", "ellipse", "polygon", "line"]
Plane = Literal["axial", "coronal", "sagittal", "native", "mip"]
Unit = Literal["best", "own", "suvbw", "suvlbm", "suvlbmj"]
Point = Annotated[list[Finite], Field(min_length=2, max_length=2)]
Points = Annotated[list[Point], Field(min_length=2, max_length=2000)]
PatientPoint = Annotated[str, Field(pattern=r"^\s*-?[\d.]+\s*(,\s*-?[\d.]+\s*){2}$", max_length=100)]


# -- volumes ---------------------------------------------------------------------------------------------------------


class PlaneOf(Shape):
    """One way through a volume: how many slices it has and the size of its pixels."""

    slices: int
    rows: int
    columns: int
    down_mm: float
    across_mm: float
    step_mm: float


class Volume(Shape):
    """What a series (or one object) is in space; `number` of `volumes` where a series makes several."""

    series_uid: str
    number: int = 0
    volumes: int = 1
    titles: list[str] = []  # of all volumes
    grid: list[int]  # slices, rows, columns
    voxel_mm: list[float]  # slice, row, column
    affine: list[list[float]]  # (column, row, slice, 1) to patient millimetres
    unit: str
    units: list[Unit]  # that can be asked for
    modality: str
    moments: list[str]  # what each moment means; empty where there is one
    frame_of_reference: str
    sources: list[str]  # SOP Instance UIDs
    range: list[float]  # smallest and largest value of any moment
    planes: dict[Plane, PlaneOf]
    frame_ms: float | None = None  # how long a moment lasts in a cine
    notes: list[str] = []


class VolumeLook(Look):
    """How to draw a volume: beside `Look`, which plane, where, which moment, and what lies over it.

    `at` (patient mm) goes before `slice` (from 0, not rounded: half way lies between two). With neither, the middle.
    `moment` -1 is all moments together. `angle` turns the MIP: 0 from the front, 90 from the patient's left. `grid`
    draws that many slices (angles in steps of 360 / grid for a MIP), each `step` farther. `frame` is not looked at.
    """

    volume: Annotated[int, Field(ge=0, le=1000)] = 0
    plane: Plane = "axial"
    slice: Finite | None = None
    at: PatientPoint | None = None
    at_in: Short = ""  # the series in whose millimetres `at` is told; a registration moves it here
    angle: Finite = 0.0
    moment: Annotated[int, Field(ge=-1, le=100_000)] = -1
    over: Short = ""  # series (or object) drawn over this one
    over_volume: Annotated[int, Field(ge=0, le=1000)] = 0
    over_moment: Annotated[int, Field(ge=-1, le=100_000)] = -1
    over_map: Short = "hot_iron"
    over_lower: Finite | None = None
    over_upper: Finite | None = None
    over_auto: Literal["own", "robust", "maximum", "range"] = "own"
    over_unit: Unit = "best"
    mode: Literal["blend", "checkerboard", "fused"] = "blend"
    blend: Annotated[float, Field(ge=0, le=1)] = 0.5  # share of the upper one
    squares: Annotated[int, Field(ge=2, le=64)] = 8  # of a checkerboard, along each side
    registration: Short = ""  # SOP UID of a Spatial Registration; "": the stored one, else as they lie; "none"


# -- pictures --------------------------------------------------------------------------------------------------------


class WindowShown(Shape):
    lower: float
    upper: float


class Tile(Shape):
    """One frame in a picture: its place in pixels (half cells), what it is, and the part of the frame shown there.

    `part` is [top, left, height, width] in the frame's own pixels, so that picture pixel (y, x) shows frame point
    (part[0] + (y - top) / height * part[2], part[1] + (x - left) / width * part[3]).
    """

    frame: int
    label: str
    top: int
    left: int
    height: int
    width: int
    total: float
    part: list[float]


class Place(Shape):
    """Where the (first) plane of a picture lies.

    Picture point (y, x), from the upper left corner of the picture, is corner + y * down + x * across. `cross` is the
    picture point of `at` where it can be seen. `letters` stand left, right, top, bottom: R L A P H F.
    """

    plane: Plane
    at: list[float]
    slices: int
    slice: float
    angle: float = 0.0
    corner: list[float]
    down: list[float]
    across: list[float]
    cross: list[float] | None = None
    letters: list[str]
    down_mm: float  # size of a pixel of the plane
    across_mm: float
    moment: int = -1
    moments: int = 1


class Over(Shape):
    """What was drawn over a plane; `registration` is the object that told how they fit, or as_they_lie."""

    map: str
    colours: str  # base64 of 768 bytes
    window: WindowShown
    minimum: float
    maximum: float
    unit: str
    registration: str
    value: float | None = None  # at the cross


class Picture(Shape):
    """A drawn picture.

    `pixels` is base64 of zlib of one palette index a pixel, 2 * rows lines of `columns`; `colours` is base64 of
    256 x 3 bytes. `palette` is `true_colour` where indices are no levels: never round them then; `colours` hold.
    """

    rows: int
    columns: int
    palette: str
    colours: str
    pixels: str
    window: WindowShown
    minimum: float
    maximum: float
    total: float
    unit: str
    frames: list[int]
    frames_total: int
    tiles: list[Tile]
    frame_ms: float | None = None
    place: Place | None = None  # of a volume
    value: float | None = None  # of a volume: at the cross
    over: Over | None = None
    notes: list[str] = []


# -- measuring -------------------------------------------------------------------------------------------------------


class Region(Shape):
    """A region drawn on a frame or plane.

    rectangle and ellipse: two opposite corners (of the box around it). polygon: its corners, three or more. line: its
    points, two or more. A pixel belongs to it when its middle does.
    """

    name: Short = ""
    shape: RegionKind
    points: Points


class MeasureRegion(Region):
    """On which frame of a stored object a region is measured."""

    frame: Annotated[int, Field(ge=0)] = 0
    unit: Unit = "best"


class MeasurePlane(Region):
    """On which plane of a volume a region is measured, named as `VolumeLook` names it."""

    volume: Annotated[int, Field(ge=0, le=1000)] = 0
    plane: Plane = "axial"
    slice: Finite | None = None
    at: PatientPoint | None = None
    angle: Finite = 0.0
    moment: Annotated[int, Field(ge=-1, le=100_000)] = -1
    unit: Unit = "best"


class Measured(Shape):
    """What a region holds. Of a line: its length and the values along it, sampled once a pixel; areas are null.

    Millimetres are null where nobody says how large a pixel is.
    """

    name: str
    shape: RegionKind
    pixels: int
    total: float
    mean: float
    max: float
    min: float
    sd: float
    unit: str
    area_mm2: float | None = None
    length_mm: float | None = None
    length_pixels: float | None = None
    max_at: list[float] | None = None  # [row, column], the middle of the pixel
    max_at_mm: list[float] | None = None  # [x, y, z], of a volume
    profile: list[float] = []
    notes: list[str] = []


class AskCurves(Shape):
    """Regions followed through a dynamic or gated study; detector and energy window are counted from 1."""

    regions: Annotated[list[Region], Field(min_length=1, max_length=64)]
    detector: Annotated[int, Field(ge=1, le=100)] | None = None  # none: the first
    energy: Annotated[int, Field(ge=1, le=100)] | None = None
    rate: bool = False  # counts per second rather than counts
    unit: Unit = "best"
    volume: Annotated[int, Field(ge=0, le=1000)] = 0  # of a volume, as are the others
    plane: Plane = "axial"
    slice: Finite | None = None
    at: PatientPoint | None = None


class Curve(Shape):
    name: str
    unit: str
    values: list[float]
    pixels: int
    area_mm2: float | None = None


class CurvePhase(Shape):
    """A part of a dynamic study: frames from `first` on, each so long."""

    name: str
    first: int
    frames: int
    frame_s: float


class Curves(Shape):
    """`times_s` are the middles of the frames since the study began; in a gated study since the R wave."""

    times_s: list[float]
    durations_s: list[float]
    timed: bool  # false: nobody says how long a frame lasts, times are frame numbers
    frames: list[int]  # of the object, behind each point
    curves: list[Curve]
    phases: list[CurvePhase] = []
    notes: list[str] = []


# -- export ----------------------------------------------------------------------------------------------------------


class Export(Look):
    """A picture to keep: `rows` and `columns` in pixels this time. apng shows the frames from `frame` to `last`."""

    rows: Annotated[int, Field(ge=1, le=2048)] = 512
    columns: Annotated[int, Field(ge=1, le=2048)] = 512
    format: Literal["png", "apng"] = "png"
    last: Annotated[int, Field(ge=0)] | None = None
    frame_ms: Annotated[float, Field(ge=10, le=60_000)] | None = None  # none: as the object says


class VolumeExport(VolumeLook):
    """As `Export`; apng shows what `cine` says: slices from first to last, a MIP turning once, or moments."""

    rows: Annotated[int, Field(ge=1, le=2048)] = 512
    columns: Annotated[int, Field(ge=1, le=2048)] = 512
    format: Literal["png", "apng"] = "png"
    cine: Literal["slices", "turn", "moments"] = "slices"
    first: Annotated[int, Field(ge=0)] = 0
    last: Annotated[int, Field(ge=0)] | None = None
    angles: Annotated[int, Field(ge=2, le=360)] = 36
    frame_ms: Annotated[float, Field(ge=10, le=60_000)] | None = None


class HeaderRow(Shape):
    """An element as people read it; `>` marks the depth of items in `tag`."""

    tag: str
    vr: str
    keyword: str
    name: str
    value: str
