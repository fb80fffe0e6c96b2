"""Films: what to print of an exam and how, and what a printer says of itself."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from core.wire.shape import AeTitle, Shape, Short

Layout = Annotated[str, StringConstraints(pattern=r"^[1-9][x,][1-9]$")]  # columns x rows
FilmSize = Literal[
    "8INX10IN", "8_5INX11IN", "10INX12IN", "10INX14IN", "11INX14IN", "11INX17IN", "14INX14IN", "14INX17IN",
    "24CMX24CM", "24CMX30CM", "A4", "A3",
]  # fmt: skip
FrameList = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*$")]


class PrintFilms(Shape):
    """What to print of an exam; without `layout` the number of images chooses it."""

    aet: AeTitle
    layout: Layout | None = None
    bits: Literal[8, 12] = 8
    series: list[Short] = []  # these series only
    frames: FrameList | None = None  # of every object these frames only, counted from 1: 1-8,12
    copies: Annotated[int, Field(ge=1, le=20)] = 1
    film_size: FilmSize = "14INX17IN"
    orientation: Literal["portrait", "landscape"] = "portrait"
    medium: Literal["", "PAPER", "CLEAR FILM", "BLUE FILM"] = ""
    priority: Literal["LOW", "MED", "HIGH"] = "MED"
    inverse: bool = False  # dark on bright
    lut: Literal["IDENTITY", "LIN OD", ""] = "IDENTITY"
    caption: bool = True  # who and what it shows, under every image


class PrinterState(Shape):
    aet: str
    status: str  # NORMAL, WARNING or FAILURE
    info: str = ""
    name: str = ""
    manufacturer: str = ""
    model: str = ""
    serial_number: str = ""
    software: str = ""
