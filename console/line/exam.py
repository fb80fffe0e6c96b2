"""exam add, list, show, triage, assign, protocol, schedule, check, arrive, start, finish and the other ends."""

from __future__ import annotations

import argparse
from typing import Any

from console.client import Client
from console.line.patient import name_of, path
from console.line.speaking import Arguments, command, given, moment, noun, spelled

_URGENCIES = ("stat", "urgent", "routine")
_VISITS = ("outpatient", "inpatient", "emergency", "checkup", "transfer")
_CHARGES = ("unpaid", "paid", "charged", "green_channel", "refunded")
_ACTS = {
    "arrive": "the patient has come",
    "inject": "the dose was given",
    "start": "a step begins at the camera",
    "finish": "a step was done",
    "discontinue": "a step was broken off (--reason)",
    "not-done": "a step, or the exam, was not done (--reason)",
    "reopen": "bring back a closed exam, or the step that ended last",
}


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands about exams."""
    verbs = noun(commands, "exam", "register exams and lead them through the department")
    _declare_add(verbs)
    _declare_list(verbs)
    _about(verbs, "show", _show, "show an exam")
    triage = _about(verbs, "triage", _triage, "set the urgency")
    triage.add_argument("--urgency", choices=_URGENCIES, required=True)
    assign = _about(verbs, "assign", _assign, "give the exam to a doctor; without --to to the one proposed")
    assign.add_argument("--to", metavar="USER", help="a user name; '' takes the assignment back")
    command(verbs, "proposals", _proposals, "who could take an exam", _say_proposals).add_argument("exam")
    _declare_protocol(verbs)
    check = _about(verbs, "check", _check, "answer a check, or override it with a reason in --note")
    check.add_argument("--name", required=True, type=spelled)
    check.add_argument("--answer", default="")
    check.add_argument("--note", default="")
    check.add_argument("--override", action="store_true")
    for name, text in _ACTS.items():
        _declare_act(verbs, name, text)
    cancel = _about(verbs, "cancel", _cancel, "take an exam out before anything was done")
    cancel.add_argument("--reason", default="")
    step = _about(verbs, "step", _step, "add a step")
    step.add_argument("--name", default="")
    step.add_argument("--device", action="append", default=[])
    step.add_argument("--at", type=moment, metavar="TIME")
    step.add_argument("--frames", type=int, dest="expected_frames", metavar="N")


def _about(verbs: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:  # noqa: ANN401 - argparse's own
    parser = command(verbs, name, run, text, say)
    parser.add_argument("exam", help="an accession number, a patient number, or an id")
    return parser


def _declare_add(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    add = command(verbs, "add", _add, "register an exam", say)
    add.add_argument("--patient", required=True)
    add.add_argument("--procedure", required=True, metavar="CODE")
    add.add_argument("--visit", choices=_VISITS, default="outpatient")
    add.add_argument("--urgency", choices=_URGENCIES)
    add.add_argument("--charge", choices=_CHARGES, type=spelled)
    for option in ("--accession", "--request-number", "--placer-number", "--referrer", "--complaint", "--diagnosis",
                   "--lab", "--visit-number", "--ward", "--bed", "--infection", "--pregnancy"):  # fmt: skip
        add.add_argument(option)
    add.add_argument("--from", dest="from_department", metavar="DEPARTMENT")
    add.add_argument("--weight", dest="weight_kg", type=float, metavar="KG")
    add.add_argument("--height", dest="height_cm", type=float, metavar="CM")
    add.add_argument("--at", dest="booked_at", type=moment, metavar="TIME", help="booked for")


def _declare_list(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    listing = command(verbs, "list", _list, "list exams, the most urgent first", _lines)
    listing.add_argument("--state", action="append", type=spelled)
    listing.add_argument("--assigned-to", metavar="USER", help="a user name, or me")
    listing.add_argument("--date", metavar="today|YYYY-MM-DD")
    listing.add_argument("--late", action="store_true", help="images or report overdue")
    listing.add_argument("--device", metavar="AET")
    listing.add_argument("--patient", metavar="NUMBER")
    listing.add_argument("--query", metavar="TEXT")
    listing.add_argument("--order", choices=("queue", "recent", "due"), default="queue")
    listing.add_argument("--offset", type=int, default=0)
    listing.add_argument("--limit", type=int, default=50)


def _declare_protocol(verbs: Any) -> None:  # noqa: ANN401 - argparse's own
    protocol = _about(verbs, "protocol", _protocol, "decide device or pool, plan and time")
    protocol.add_argument("--device", metavar="AET")
    protocol.add_argument("--plan", default="")
    protocol.add_argument("--at", type=moment, metavar="TIME")
    protocol.add_argument(
        "--step", action="append", default=[], metavar="NAME[:FRAMES]", help="instead of the catalogue's"
    )
    schedule = _about(verbs, "schedule", _protocol, "set the time, and the device where it changes")
    schedule.add_argument("--at", type=moment, metavar="TIME", required=True)
    schedule.add_argument("--device", metavar="AET")
    schedule.set_defaults(plan="", step=[])


def _declare_act(verbs: Any, name: str, text: str) -> None:  # noqa: ANN401 - argparse's own
    act = _about(verbs, name, _act, text)
    act.set_defaults(act=name.replace("-", "_"))
    act.add_argument("--step", type=int, metavar="ID", help="the step meant; else the next one")
    act.add_argument("--at", type=moment, metavar="TIME")
    act.add_argument("--reason", default="")
    act.add_argument("--confirm", action="append", default=[], metavar="TEXT", help="an identifier the patient says")


# -- asking the service ------------------------------------------------------------------------------------------------


def _add(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    names = ("patient", "procedure", "visit", "urgency", "charge", "accession", "request_number", "placer_number",
             "referrer", "complaint", "diagnosis", "lab", "visit_number", "ward", "bed", "infection", "pregnancy",
             "from_department", "weight_kg", "height_cm", "booked_at")  # fmt: skip
    return client.post("exams", given(arguments, *names))


def _list(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    names = ("state", "assigned_to", "date", "device", "patient", "query", "order", "offset", "limit")
    return client.get("exams", **given(arguments, *names), late=arguments.late or None)["items"]


def _show(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(f"exams/{path(arguments.exam)}")


def _to(client: Client, arguments: Arguments, act: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"exams/{path(arguments.exam)}/{act}", body)


def _triage(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _to(client, arguments, "triage", given(arguments, "urgency"))


def _assign(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _to(client, arguments, "assign", given(arguments, "to"))


def _proposals(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(f"exams/{path(arguments.exam)}/proposals")


def _protocol(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = given(arguments, "device", "plan", "at")
    if arguments.step:
        body["steps"] = [_new_step(text) for text in arguments.step]
    return _to(client, arguments, "protocol", body)


def _new_step(text: str) -> dict[str, Any]:
    name, _, frames = text.partition(":")
    return {"name": name, "expected_frames": int(frames) if frames else None}


def _check(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _to(client, arguments, "check", given(arguments, "name", "answer", "note", "override"))


def _act(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _to(client, arguments, arguments.act, given(arguments, "step", "at", "reason", "confirm"))


def _cancel(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return _to(client, arguments, "cancel", given(arguments, "reason"))


def _step(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = {**given(arguments, "name", "expected_frames"), "devices": arguments.device, "planned_at": arguments.at}
    return _to(client, arguments, "step", body)


# -- saying it to a person ---------------------------------------------------------------------------------------------


def say(exam: dict[str, Any]) -> str:
    """Say an exam in a few lines."""
    images, report = exam["images"], exam["report"]
    due = "" if images["expected"] is None else f" of {images['expected']}"
    lines = [
        f"{exam['accession']}  {exam['procedure']}  {exam['state']}  {exam['urgency']}",
        f"  patient   {exam['patient_number']}  {name_of(exam, 'patient_')}",
        f"  doctor    {exam['assigned_to'] or 'not assigned'}",
        f"  device    {exam['device'] or 'not chosen'}  {exam['plan']}",
        f"  images    {images['state']}, {images['received']}{due} {images['unit']}",
        f"  report    {report['state'] or 'none'}" + (f", locked: {report['lock_reason']}" if report["locked"] else ""),
    ]
    lines += [_say_step(step) for step in exam["steps"]]
    lines += [f"  check     {one['name']}: {_say_check(one)}" for one in exam["checks"]]
    lines += [f"  dose      {_say_dose(one)}" for one in exam["doses"]]
    lines += [f"  closed    {exam['closed_reason']}"] if exam["closed_reason"] else []
    return "\n".join(lines)


def _clock(at: str | None) -> str:
    return at[:16].replace("T", " ") if at else "-"


def _say_step(step: dict[str, Any]) -> str:
    where, planned = ", ".join(step["devices"]), _clock(step["planned_at"])
    return f"  step      {step['id']} {step['name']}: {step['state']}, planned {planned} {where}".rstrip()


def _say_check(check: dict[str, Any]) -> str:
    if check["overridden"]:
        return f"overridden by {check['by']}: {check['note']}"
    return f"{check['answer']} ({check['by']} {_clock(check['at'])})" if check["answer"] else "not answered"


def _say_dose(dose: dict[str, Any]) -> str:
    said = [dose["radiopharmaceutical"]]
    said += [f"drawn {dose['drawn_mbq']:g} MBq at {_clock(dose['drawn_at'])}"] if dose["drawn_mbq"] is not None else []
    said += [f"injected {_clock(dose['injected_at'])}"] if dose["injected_at"] else []
    said += [f"residual {dose['residual_mbq']:g} MBq"] if dose["residual_mbq"] is not None else []
    return ", ".join(said)


def _lines(exams: list[dict[str, Any]]) -> str:
    rows = [
        f"{one['accession']:16} {one['urgency']:8} {one['state']:12} {one['procedure']:12} "
        f"{one['images']['received']:>4}/{'-' if one['images']['expected'] is None else one['images']['expected']:<4} "
        f"{one['assigned_to'] or '-':12} {one['patient_number']:12} {name_of(one, 'patient_')}"
        for one in exams
    ]
    return "\n".join(rows) or "no exams"


def _say_proposals(proposals: list[dict[str, Any]]) -> str:
    return "\n".join(f"{one['username']:16} {', '.join(one['reasons'])}" for one in proposals) or "nobody"
