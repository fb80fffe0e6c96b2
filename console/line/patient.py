"""patient add, find, show, edit, merge, unmerge."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from console.client import Client, ServiceRefused
from console.line.speaking import Arguments, command, given, noun

_CONFLICT = 409
_FIELDS = ("name", "birth_date", "birth_date_known", "sex", "phone", "address", "national_id", "allergies", "alerts")


def add_to(commands: Any) -> None:  # noqa: ANN401 - argparse's own
    """Declare the commands about patients."""
    verbs = noun(commands, "patient", "register, find and correct patients")
    adding = command(verbs, "add", _add, "register a patient", say)
    patient_options(adding)
    adding.add_argument("--accept-similar", action="store_true", help="register although similar patients exist")
    finding = command(verbs, "find", _find, "find by number, name, pinyin, initials, phone or birth date", _lines)
    finding.add_argument("query", nargs="+")
    finding.add_argument("--limit", type=int, default=20)
    command(verbs, "show", _show, "show a patient with visits and exams", say).add_argument("patient")
    editing = command(verbs, "edit", _edit, "change what is known of a patient", say)
    editing.add_argument("patient")
    _known(editing)
    editing.add_argument("--identity", choices=("known", "temporary"))
    editing.add_argument("--reason")
    merging = command(verbs, "merge", _merge, "declare two records one person; the second one stays", say)
    merging.add_argument("patient")
    merging.add_argument("into", nargs="?")
    merging.add_argument("--into", dest="into_option", metavar="NUMBER")
    merging.add_argument("--reason", default="")
    unmerging = command(verbs, "unmerge", _unmerge, "take a merge back", say)
    unmerging.add_argument("patient")
    unmerging.add_argument("--reason", default="")


def patient_options(parser: argparse.ArgumentParser) -> None:
    """Declare what a new patient may be given."""
    parser.add_argument("--number", help="the hospital's number; made when left out")
    _known(parser)
    parser.add_argument("--temporary", action="store_true", help="an unknown patient: number and name are made")


def _known(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--name", help="Zhang^Wei=张^伟, 张伟, or 'Zhang Wei'")
    parser.add_argument("--birth-date", metavar="YYYY-MM-DD")
    parser.add_argument("--birth-date-known", choices=("exact", "estimated", "unknown"))
    parser.add_argument("--sex", choices=("M", "F", "O"), type=str.upper)
    for option in ("--phone", "--address", "--national-id", "--allergies", "--alerts"):
        parser.add_argument(option)
    parser.add_argument("--identifier", action="append", default=[], metavar="KIND:VALUE", help="another number")


def _body(arguments: Arguments) -> dict[str, Any]:
    body = given(arguments, *_FIELDS)
    if arguments.identifier:
        body["identifiers"] = [_identifier(text) for text in arguments.identifier]
    return body


def _identifier(text: str) -> dict[str, str]:
    kind, colon, value = text.partition(":")
    if not colon:
        msg = f"'{text}' is no identifier: write KIND:VALUE, such as card:88123"
        raise ValueError(msg)
    return {"kind": kind.replace("-", "_"), "value": value}


def _add(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = {**_body(arguments), **given(arguments, "number"), "accept_similar": arguments.accept_similar}
    if arguments.temporary:
        body["identity"] = "temporary"
    try:
        return client.post("patients", body)
    except ServiceRefused as refused:
        if refused.status != _CONFLICT or not arguments.number or arguments.accept_similar:
            raise
        # Who gives a number says that the hospital knows this person apart; the likeness is told all the same.
        patient = client.post("patients", {**body, "accept_similar": True})
        print(f"photopeak: {arguments.number} registered, {refused.detail}", file=sys.stderr)
        return patient


def _find(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get("patients", query=" ".join(arguments.query), limit=arguments.limit)


def _show(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.get(f"patients/{path(arguments.patient)}")


def _edit(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    body = {**_body(arguments), **given(arguments, "identity", "reason")}
    return client.patch(f"patients/{path(arguments.patient)}", body)


def _merge(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    into = arguments.into or arguments.into_option
    if not into:
        raise ValueError("say into which patient: photopeak patient merge P2 --into P1")
    return client.post(f"patients/{path(arguments.patient)}/merge", {"into": into, "reason": arguments.reason})


def _unmerge(client: Client, arguments: Arguments) -> Any:  # noqa: ANN401 - JSON
    return client.post(f"patients/{path(arguments.patient)}/unmerge", {"reason": arguments.reason})


def path(reference: str) -> str:
    """Return a number as a piece of a path, whatever signs are in it."""
    from urllib.parse import quote  # noqa: PLC0415 - httpx has it loaded by then; the parser has not

    return quote(reference, safe="")


def name_of(one: dict[str, Any], prefix: str = "") -> str:
    """Return a name for people: ideographs, then letters."""
    own = one[f"{prefix}name_ideographic"].replace("^", "")
    return "  ".join(part for part in (own, one[f"{prefix}name"].replace("^", " ").strip()) if part)


def say(patient: dict[str, Any]) -> str:
    """Say a patient in a few lines."""
    born = patient["birth_date"] or "not known"
    marks = [patient["birth_date_known"] if patient["birth_date_known"] == "estimated" else "",
             "temporary identity" if patient["identity"] == "temporary" else "",
             f"merged into {patient['merged_into']}" if patient["merged_into"] else "",
             "same name today" if patient["same_name_today"] else ""]  # fmt: skip
    lines = [f"{patient['number']}  {name_of(patient)}  born {born}  sex {patient['sex'] or 'not known'}"]
    lines += [f"  {', '.join(mark for mark in marks if mark)}"] if any(marks) else []
    lines += [f"  {name}: {patient[name]}" for name in ("phone", "address", "allergies", "alerts") if patient[name]]
    lines += [f"  {one['kind']} number {one['value']}" for one in patient["identifiers"] if not one["primary"]]
    lines += [f"  {visit['at'][:16].replace('T', ' ')}  {visit['kind']} {visit['ward']}" for visit in patient["visits"]]
    return "\n".join([*lines, f"  exams: {', '.join(patient['exams']) or 'none'}"])


def _lines(patients: list[dict[str, Any]]) -> str:
    return "\n".join(_line(one) for one in patients) or "nobody found"


def _line(one: dict[str, Any]) -> str:
    born, sex, phone = one["birth_date"] or "-", one["sex"] or "-", one["phone"] or "-"
    return f"{one['number']:16} {born:10} {sex:1}  {phone:14} {name_of(one)}"
