"""images status, unfiled, candidates, file, unfile, undo, corrections, quarantined, admit, converted, overdue, show."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from console.client import Client, ServiceRefused
from console.line.patient import path
from console.line.picture import BLOCK, FINER, ITERM2, KITTY, STYLES, blocks, graphics, style_of
from console.line.speaking import Arguments, command, given, noun, spelled

_LEAST_COLUMNS, _MOST_COLUMNS = 20, 200
_NOT_FOUND = 404


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands about images and their filing."""
    verbs = noun(commands, "images", "what arrived, where it is filed, how it looks")
    command(verbs, "status", _status, "the images of an exam", _say_status).add_argument("exam")
    listing = command(verbs, "unfiled", _unfiled, "batches that found no exam, or contradict one", _say_batches)
    listing.add_argument("--state", action="append", choices=("unfiled", "conflicting", "qc"))
    listing.add_argument("--limit", type=int, default=50)
    one = command(verbs, "candidates", _candidates, "one batch and the exams it may belong to", _say_batch)
    one.add_argument("batch", help="its id, or its Study UID")
    _declare_corrections(verbs)
    for name, run, text in (
        ("quarantined", _quarantined, "objects that repeat a UID with other content"),
        ("overdue", _overdue, "exams whose images should have come"),
    ):
        command(verbs, name, run, text, _say_overdue if name == "overdue" else None)
    command(verbs, "converted", _converted, "what came non-standard, and what was mended", _say_converted)
    admit = command(verbs, "admit", _admit, "give an object kept apart a UID of its own, and take it in", _say_admitted)
    admit.add_argument("number", type=int, help="as images quarantined tells it")
    _declare_show(verbs)


def _declare_corrections(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    file = command(verbs, "file", _file, "file a batch, or one series of it, to an exam", _say_correction)
    file.add_argument("batch", help="its id, or its Study UID")
    file.add_argument("exam")
    file.add_argument("--series", metavar="UID", help="only this series")
    file.add_argument("--step", type=int, metavar="ID", help="the step it belongs to")
    file.add_argument("--reason", default="")
    unfile = command(verbs, "unfile", _unfile, "take a study from its exam", _say_correction)
    unfile.add_argument("study", help="its Study UID")
    unfile.add_argument("--from", dest="accession", metavar="EXAM", help="where it is filed to more than one")
    unfile.add_argument("--reason", default="")
    undo = command(verbs, "undo", _undo, "take a correction back", _say_correction)
    undo.add_argument("correction", type=int)
    undo.add_argument("--reason", default="")
    made = command(verbs, "corrections", _corrections, "corrections made, the latest first", _say_corrections)
    made.add_argument("--limit", type=int, default=50)


def _declare_show(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    show = command(verbs, "show", _show, "the series of an exam or study, or the picture of an object", _say_shown)
    show.add_argument("what", metavar="ACCESSION|STUDY_UID|SERIES_UID|SOP_UID")
    show.add_argument("--frame", type=int, help="the first frame, from 0")
    show.add_argument("--grid", type=int, help="how many frames side by side")
    show.add_argument(
        "--map", type=spelled, help="gray, inverted_gray, hot_iron, hot_metal_blue, rainbow, pet, pet_20_step"
    )
    show.add_argument("--lower", type=float, help="window: what is shown first, in counts")
    show.add_argument("--upper", type=float)
    show.add_argument("--zoom", type=float)
    show.add_argument("--rows", type=int, help="cells of the terminal to use")
    show.add_argument("--columns", type=int)
    show.add_argument(
        "--style", choices=STYLES, default="auto", help="how to draw: auto takes the best this terminal has"
    )
    show.add_argument("--plane", choices=("axial", "coronal", "sagittal", "native", "mip"), help="through the volume")
    show.add_argument("--slice", type=float, help="of the plane, from 0; the middle otherwise")
    show.add_argument("--at", metavar="X,Y,Z", help="the place in patient millimetres the plane goes through")
    show.add_argument("--angle", type=float, help="of the MIP, in degrees: 0 from the front, 90 from the left")
    show.add_argument("--over", metavar="SERIES_UID", help="a series to lay over it")


def _at(room: str, *pieces: object) -> str:
    """Put a path together from what people typed."""
    return "/".join((room, *(path(str(piece)) for piece in pieces)))


# -- asking ----------------------------------------------------------------------------------------------------------


def _status(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(_at("exams", arguments.exam))


def _unfiled(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("images/unfiled", state=arguments.state, limit=arguments.limit)


def _candidates(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(_at("images/unfiled", arguments.batch))


def _file(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    form = {"accession": arguments.exam, **given(arguments, "series", "step", "reason")}
    return client.post(_at("images/unfiled", arguments.batch, "file"), form)


def _unfile(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    form = {"study_instance_uid": arguments.study, **given(arguments, "accession", "reason")}
    return client.post("images/unfile", form)


def _undo(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at("corrections", arguments.correction, "undo"), given(arguments, "reason"))


def _corrections(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("corrections", limit=arguments.limit)


def _quarantined(client: Client, _arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("images/quarantined")


def _converted(client: Client, _arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("images/converted")


def _admit(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(_at("images/quarantined", arguments.number, "admit"), {})


def _overdue(client: Client, _arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("images/overdue")


def _show(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    """The series of an exam or study; a plane of a series; the picture of an object, which is what is none of these."""
    if arguments.plane:
        query = {**_look(arguments), **given(arguments, "plane", "slice", "at", "angle", "over")}
        return _styled(arguments, client.get(_at("volumes", arguments.what, "picture"), **query))
    for place in ("exams", "studies"):
        try:
            series = client.get(_at(place, arguments.what, "series"))
        except ServiceRefused as refused:
            if refused.status != _NOT_FOUND:
                raise
        else:
            return series if arguments.json else [*series, *_first_picture(client, arguments, series)]
    return _styled(arguments, client.get(_at("images", arguments.what, "picture"), **_look(arguments)))


def _first_picture(client: Client, arguments: Arguments, series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the picture of the first series that has one, for a person at a terminal."""
    for one in sorted(series, key=lambda one: not one["counted"]):
        for instance in one["instances"][:1]:
            try:
                shown = client.get(_at("images", instance["uid"], "picture"), **_look(arguments))
            except ServiceRefused:
                continue  # a document or an unreadable object; the next series may have a picture
            return [_styled(arguments, shown)]
    return []


def _look(arguments: Arguments) -> dict[str, Any]:
    """Return how to draw: at the size of the terminal, or at that of a window where it has real graphics."""
    said = given(arguments, "frame", "grid", "map", "lower", "upper", "zoom")
    columns, lines = shutil.get_terminal_size((80, 24))
    columns = arguments.columns or min(max(columns - 1, _LEAST_COLUMNS), _MOST_COLUMNS)
    rows = arguments.rows or max(lines - 6, 8)
    scale = FINER if _style(arguments) in {KITTY, ITERM2} else 1
    return {**said, "rows": min(rows * scale, 1000), "columns": min(columns * scale, 2000)}


# -- saying ----------------------------------------------------------------------------------------------------------


def _say_status(exam: dict[str, Any]) -> str:
    images, report = exam["images"], exam["report"]
    of = f" of {images['expected']}" if images["expected"] is not None else ""
    lock = f"; the report is locked: {report['lock_reason']}" if report["locked"] else ""
    due = f", due {images['due_at'][:16]}" if images["due_at"] and images["state"] in {"none", "overdue"} else ""
    last = f", last {images['last_at'][:16]}" if images["last_at"] else ""
    apart = f", {images['uncounted']} not counted" if images["uncounted"] else ""
    counted = f"{images['received']}{of} {images['unit']}{apart}"
    return f"{exam['accession']}  {images['state']}  {counted}{last}{due}{lock}"


def _say_batches(batches: list[dict[str, Any]]) -> str:
    return "\n".join(_say_batch(batch) for batch in batches) if batches else "nothing waits to be filed"


def _say_batch(batch: dict[str, Any]) -> str:
    sent = (batch["patient_number"] or "-", batch["patient_name"] or "-", batch["accession"] or "-", batch["aet"])
    against = f" with {batch['contradicts']}" if batch["contradicts"] else ""
    head = f"{batch['id']:>6}  {batch['state']}{against}  {'  '.join(sent)}"
    return "\n".join(
        [
            f"{head}  {batch['received']} received  {batch['last_at'][:16]}",
            f"        study {batch['study_instance_uid']}",
            *(f"        {reason}" for reason in batch["reasons"]),
            *(f"        {_say_candidate(one)}" for one in batch["candidates"]),
        ]
    )


def _say_candidate(one: dict[str, Any]) -> str:
    who = f"{one['accession']}  {one['patient_number']}  {one['patient_name']}  {one['procedure']}"
    return f"{one['score']:.2f}  {who}: {', '.join(one['reasons'])}"


def _say_correction(row: dict[str, Any]) -> str:
    was, now = (row[side]["accession"] or row[side]["state"] for side in ("from", "to"))
    undone = f"  undone {row['undone_at'][:16]}" if row["undone_at"] else ""
    reason = f"  {row['reason']}" if row["reason"] else ""
    said = f"{row['id']:>6}  {row['at'][:16]}  {row['kind']}  {was} -> {now}  by {row['by']}{reason}{undone}"
    return f"{said}\n        study {row['study_instance_uid']}"


def _say_corrections(rows: list[dict[str, Any]]) -> str:
    return "\n".join(_say_correction(row) for row in rows) if rows else "nothing was corrected"


def _say_overdue(exams: list[dict[str, Any]]) -> str:
    return "\n".join(_say_status(exam) for exam in exams) if exams else "no images are overdue"


def _say_shown(answer: Any) -> str:  # noqa: ANN401 - JSON: one picture, or series with perhaps a picture behind them
    parts = answer if isinstance(answer, list) else [answer]
    return "\n".join(_say_picture(one) if "pixels" in one else _say_series(one) for one in parts) or "no images"


def _say_series(series: dict[str, Any]) -> str:
    frames = sum(instance["frames"] for instance in series["instances"])
    count = f"{len(series['instances'])} objects, {frames} frames"
    sent = f"sent as {series['sent_patient_number'] or '-'} {series['sent_patient_name'] or '-'}"
    apart = "" if series["counted"] else "  (not counted)"
    uids = [f"        {instance['uid']}" for instance in series["instances"][:5]]
    more = [f"        and {len(series['instances']) - 5} more"] if len(series["instances"]) > len(uids) else []
    said = f"{series['number'] or '-':>4}  {series['modality']}  {series['description'] or '-'}  {count}  {sent}{apart}"
    repairs = dict.fromkeys(repair for instance in series["instances"] for repair in instance.get("repairs", ()))
    return "\n".join([said, *uids, *more, *(f"        mended: {repair}" for repair in list(repairs)[:8])])


def _say_converted(rows: list[dict[str, Any]]) -> str:
    said = []
    for row in rows:
        charset = f"  text {row['charset']} ({row['confidence']:.0%})" if row["charset"] != row["charset_said"] else ""
        said += [f"{row['at'][:16]}  {row['kind']}  {row['sop_instance_uid']}{charset}"]
        said += [f"        {repair}" for repair in row["repairs"]]
    return "\n".join(said) if said else "nothing was mended"


def _say_admitted(one: dict[str, Any]) -> str:
    return "\n".join([f"taken in as {one['sop_uid']}", *(f"        {repair}" for repair in one["repairs"])])


def _say_picture(picture: dict[str, Any]) -> str:
    window = picture["window"]
    shown = ", ".join(str(frame) for frame in picture["frames"][:8])
    numbers = (
        f"frame {shown} of {picture['frames_total']}  total {picture['total']:g} {picture['unit']}"
        f"  values {picture['minimum']:g} to {picture['maximum']:g}  window {window['lower']:g} to {window['upper']:g}"
    )
    style = picture.get("style", "")
    if not style:
        return numbers  # a file or a screen reader has no use for the blocks
    return f"{blocks(picture) if style == BLOCK else graphics(picture, style)}\n{numbers}"


def _style(arguments: Arguments) -> str:
    """Return how a picture is drawn here; empty where it is not drawn at all."""
    if arguments.json or not (sys.stdout.isatty() or arguments.style != "auto"):
        return ""
    return style_of(os.environ) if arguments.style == "auto" else str(arguments.style)


def _styled(arguments: Arguments, picture: dict[str, Any]) -> dict[str, Any]:
    style = _style(arguments)
    return {**picture, "style": style} if style else picture
