"""What stands around the pictures: who it is, and the numbers of what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from console.widgets.reel import identity_lines
from console.widgets.repairs import mended_lines
from console.widgets.sides import FRAMES, MIP, Side
from console.words import _

Numbers = Mapping[str, Any]
_NOBODY = {
    "patient_number": "", "patient_name": "", "patient_name_ideographic": "", "patient_birth_date": "",
    "patient_sex": "",
}  # fmt: skip


def identity(side: Side, *, plain: bool) -> Text:
    """Say who is registered and who the images say it is, differences marked."""
    pairs = identity_lines(side.exam or _NOBODY, side.reel.now)
    labels = (_("Registered"), _("In the images"))
    lines = [Text(f"{label:<14}", "dim", end="") for label in labels]
    for registered, sent, differs in pairs:
        wide = max(Text(registered).cell_len, Text(sent).cell_len)
        lines[0].append(_padded(registered, wide) + "    ")
        mark = ("!= " if plain else "≠ ") if differs and side.exam else ""
        lines[1].append(mark + _padded(sent, wide) + "    "[len(mark) :], "bold reverse" if mark else "")
    if not side.exam:
        lines[0] = Text(f"{labels[0]:<14}", "dim").append(_("not filed to an exam"))
    return Text("\n").join(lines)


def about(side: Side, kind: str, numbers: Numbers) -> Text:
    """Say what is shown: the series, the frame or the place, counts, range and window."""
    text, now = Text(), side.reel.now
    heading = f"{now['modality']} {now['description']}".strip() or now["uid"][-12:]
    text.append(f"{heading}\n", "bold")
    if harm := _harm(side):
        text.append(f"{harm}\n", "bold reverse")
    text.append_text(mended_lines(_instance(side)))
    line(text, _("Series"), f"{side.reel.number + 1}/{len(side.reel.series)}  {now['step']}".rstrip())
    line(text, _("Date"), moment(now["date"]) or "-")
    for label, said in where(side, kind, numbers):
        line(text, label, said)
    if numbers:
        _values(text, side, numbers)
    line(text, _("Zoom"), f"{side.look.zoom:.2g}x")
    lies = side.shape["notes"] if side.shape and kind != FRAMES else []
    for note in dict.fromkeys([*lies, *(numbers.get("notes") or [])]):
        text.append(f"{note}\n", "italic")
    return text


def where(side: Side, kind: str, numbers: Numbers) -> list[tuple[str, str]]:
    """Say which frame, or which plane and where in the patient."""
    if kind == FRAMES:
        return [(_("Frame"), _frame(side, numbers))]
    place = numbers.get("place") or {}
    said = [(_("Plane"), plane_words(kind))]
    if kind == MIP:
        said.append((_("Angle"), f"{side.angle:.0f}°"))
    elif place:
        said.append((_("Slice"), f"{place['slice'] + 1:.4g}/{place['slices']}"))
        said.append((_("Place"), " ".join(f"{value:.0f}" for value in place["at"]) + " mm"))
    if side.moments > 1:
        every = side.moment < 0
        said.append((_("Moment"), _("all") if every else f"{side.moment + 1}/{side.moments}"))
    if numbers.get("value") is not None:
        said.append((_("Value"), f"{figure(numbers['value'])} {numbers['unit']}"))
    return said


def _values(text: Text, side: Side, numbers: Numbers) -> None:
    window, unit, look = numbers["window"], numbers["unit"], side.look
    by = _("(series)") if look.scale == "series" else _("(automatic)")
    kind = "" if look.window else "  " + by
    line(text, _("Window"), f"{figure(window['lower'])} - {figure(window['upper'])}{kind}")
    line(text, _("Range"), f"{figure(numbers['minimum'])} - {figure(numbers['maximum'])} {unit}")
    line(text, _("Total"), f"{figure(numbers['total'])} {unit}")
    line(text, _("Colours"), numbers["palette"].replace("_", " ") + ("  " + _("inverted") * look.invert))
    if (over := numbers.get("over")) and side.over:
        line(text, _("Over"), side.over.title)
        window = over["window"]
        line(text, "", f"{figure(window['lower'])} - {figure(window['upper'])} {over['unit']}")
        mode = _mode_words(side.over.mode)
        share = f" {side.over.blend:.0%}" if side.over.mode == "blend" else ""
        line(text, "", f"{mode}{share}  {side.over.map.replace('_', ' ')}")
        fit = over["registration"]
        line(text, _("Fit"), _("as they lie") if fit == "as_they_lie" else _("registered"))


def in_a_line(side: Side, kind: str, numbers: Numbers) -> Text:
    """Say the most needed in one line: what it is, counts, range and window."""
    if not numbers:
        return Text()
    window, unit = numbers["window"], numbers["unit"]
    said = [
        caption(side, kind, numbers, several=False).strip(),
        f"{_('Window')} {figure(window['lower'])} - {figure(window['upper'])}",
        f"{_('Range')} {figure(numbers['minimum'])} - {figure(numbers['maximum'])} {unit}",
        f"{_('Total')} {figure(numbers['total'])}",
        side.title,
    ]
    return Text("  ".join(said), no_wrap=True, overflow="ellipsis")


def listed(sides: Sequence[Side], active: int) -> Text:
    """List the series of the side one works on, and say what stands on the other."""
    side, text = sides[active], Text("\n")
    for number, one in enumerate(side.reel.series):
        mark = ">" if number == side.reel.number else " "
        frames = sum(instance["frames"] for instance in one["instances"])
        aside = "" if one["counted"] else _(" (not counted)")
        words = f"{mark} {one['description'] or one['modality']}  {frames}{aside}\n"
        text.append(words, "bold" if mark == ">" else "dim")
    return text


def caption(side: Side, kind: str, numbers: Numbers, *, several: bool) -> str:
    """Say in a few words what one of several pictures shows."""
    said = f" {moment(side.reel.now['date'])[:10]} {side.title}" if several else ""
    if kind == FRAMES:
        return f" {_frame(side, numbers).partition('  ')[0]}{said} "
    place = numbers.get("place") or {}
    slices = f" {place['slice'] + 1:.0f}/{place['slices']}" if place and kind != MIP else ""
    return f" {plane_words(kind)}{slices}{said} "


def plane_words(kind: str) -> str:
    """Return what a plane is called."""
    return {"axial": _("axial"), "coronal": _("coronal"), "sagittal": _("sagittal"), MIP: _("MIP")}.get(kind, kind)


def _shape_words(shape: str) -> str:
    words = {"rectangle": _("rectangle"), "ellipse": _("ellipse"), "polygon": _("freehand"), "line": _("distance")}
    return words.get(shape, shape)


def _mode_words(mode: str) -> str:
    return {"blend": _("blend"), "checkerboard": _("checkerboard"), "fused": _("fused")}.get(mode, mode)


def _frame(side: Side, numbers: Numbers) -> str:
    total, tiles = len(side.reel.spots), numbers.get("tiles") or []
    if side.look.grid > 1 and tiles:
        return f"{tiles[0]['frame'] + 1}-{tiles[-1]['frame'] + 1}/{total}"
    label = tiles[0]["label"] if tiles else ""
    return f"{side.reel.place + 1}/{total}  {label}".rstrip()


def _instance(side: Side) -> Mapping[str, Any]:
    """Return what is known of the object under the eye."""
    spot = side.reel.spot
    return next((one for one in side.reel.now["instances"] if spot and one["uid"] == spot.uid), {})


def _harm(side: Side) -> str:
    """Say how the object under the eye is damaged, else how many of its series are."""
    spot, damaged = side.reel.spot, {one["uid"]: one["damaged"] for one in side.reel.now["instances"]}
    if spot and damaged.get(spot.uid):
        return _("damaged: {fault}").format(fault=damaged[spot.uid])
    count = sum(bool(fault) for fault in damaged.values())
    return _("{count} objects of this series are damaged").format(count=count) if count else ""


def measured(rows: Sequence[Mapping[str, Any]], chosen: int, on: str = "") -> Text:
    """Say what each region holds, and on which frame; the chosen one is marked."""
    text = Text(f"{on}\n" if on else "", "dim")
    for number, row in enumerate(rows):
        text.append(f"{row['name']}  {_shape_words(row['shape'])}\n", "bold" if number == chosen else "dim")
        for words in _held(row):
            text.append(f"  {words}\n")
    return text.append("\n")


def _held(row: Mapping[str, Any]) -> list[str]:
    if row["shape"] == "line":
        if row["length_mm"] is not None:
            return [f"{row['length_mm']:.1f} mm"]
        return [_("{length} pixels").format(length=f"{row['length_pixels'] or 0:.1f}")]
    unit = row["unit"]
    area = "" if row["area_mm2"] is None else f"{row['area_mm2'] / 100:.4g} cm²  "
    return [
        _("total {total} {unit}").format(total=figure(row["total"]), unit=unit),
        _("mean {mean}  max {max}").format(mean=figure(row["mean"]), max=figure(row["max"])),
        _("SD {sd}  min {min}").format(sd=figure(row["sd"]), min=figure(row["min"])),
        area + _("{pixels} pixels").format(pixels=row["pixels"]),
        *row["notes"],
    ]


def figure(value: float) -> str:
    """Write a number of counts as people read it: 1,234,567 or 0.0123."""
    if value == int(value) and abs(value) < 1e15:  # noqa: PLR2004 - beyond it a float is no integer
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4g}"  # noqa: PLR2004 - decimals no longer matter


def moment(written: str) -> str:
    """Write a DICOM date and time as people do."""
    day, _space, time = written.partition(" ")
    day = f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == len("YYYYMMDD") else day
    return f"{day} {time[:2]}:{time[2:4]}" if len(time) >= len("HHMM") else day


def line(text: Text, label: str, value: str) -> None:
    """Add one line: a label and what it says."""
    text.append(f"{label}", "dim")
    text.append(" " * max(1, 9 - Text(label).cell_len) + f"{value}\n")


def _padded(text: str, width: int) -> str:
    return text + " " * (width - Text(text).cell_len)
