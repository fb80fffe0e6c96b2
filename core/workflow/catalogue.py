"""The catalogue of procedures: what photopeak ships with, and how a site edits it.

One table, one line a procedure. Injection is no step. `expected_frames` is None where the camera's own vectors, or
nothing, tell how many are due. `dose` numbers the administrations: steps of one number share one.
"""

from __future__ import annotations

from typing import Any

from sqlmodel import col, select

from core import access, audit, wire
from core.access import Actor
from core.errors import NotFound
from core.model import Procedure
from core.records import Work
from core.vocabulary import Operation
from core.workflow.processing import asking

DAY = 24 * 60
PLANAR, DYNAMIC, HEART, PET = "nm_planar", "nm_dynamic", "nm_heart", "pet"
RADIATION = ["pregnancy", "breastfeeding"]


def _step(
    name: str, minutes: int, frames: int | None = None, *, after: int = 0, window: int = 30, dose: int = 1
) -> dict[str, object]:
    return {
        "name": name, "after_minutes": after, "window_minutes": window, "duration_minutes": minutes,
        "expected_frames": frames, "dose": dose,
    }  # fmt: skip


# code: name, Chinese name, modality, body part, specialty, radiopharmaceutical, MBq, uptake minutes, report template,
# steps, checks beyond pregnancy and breastfeeding
_Entry = tuple[str, str, str, str, str, str, float, int, str, list[dict[str, object]], list[str]]
TABLE: dict[str, _Entry] = {
    "BONE-WB": (
        "Bone scan, whole body", "全身骨显像", "NM", "WHOLEBODY", "bone", "Tc-99m MDP", 740, 180, PLANAR,
        [_step("whole body", 25, 2, window=120)], [],
    ),
    "BONE-3P": (
        "Bone scan, three phases", "三相骨显像", "NM", "SKELETON", "bone", "Tc-99m MDP", 740, 0, PLANAR,
        [_step("flow", 5), _step("blood pool", 5, after=5, window=10), _step("delayed", 25, after=180, window=120)], [],
    ),
    "THYROID": (
        "Thyroid scan", "甲状腺显像", "NM", "THYROID", "endocrine", "Tc-99m pertechnetate", 185, 20, PLANAR,
        [_step("static", 10, 1, window=15)], ["drugs_stopped"],
    ),
    "PARATHYROID": (
        "Parathyroid scan, two phases", "甲状旁腺双时相显像", "NM", "NECK", "endocrine", "Tc-99m MIBI", 740, 15, PLANAR,
        [_step("early", 15, 1), _step("delayed", 15, 1, after=120)], [],
    ),
    "RENO-DTPA": (
        "Renogram with GFR", "肾动态显像及GFR测定", "NM", "KIDNEY", "kidney", "Tc-99m DTPA", 185, 0, DYNAMIC,
        [_step("dynamic", 25)], [],
    ),
    "RENO-MAG3": (
        "Renogram, MAG3", "MAG3肾动态显像", "NM", "KIDNEY", "kidney", "Tc-99m MAG3", 185, 0, DYNAMIC,
        [_step("dynamic", 25)], [],
    ),
    "DMSA": (
        "Kidney cortex scan", "肾皮质静态显像", "NM", "KIDNEY", "kidney", "Tc-99m DMSA", 111, 180, PLANAR,
        [_step("static", 30, window=60)], [],
    ),
    "LUNG-PERF": (
        "Lung perfusion", "肺灌注显像", "NM", "LUNG", "lung", "Tc-99m MAA", 148, 5, PLANAR,
        [_step("perfusion", 25)], ["allergy"],
    ),
    "LUNG-VQ": (
        "Lung ventilation and perfusion", "肺通气/灌注显像", "NM", "LUNG", "lung", "Tc-99m DTPA aerosol; Tc-99m MAA",
        148, 5, PLANAR,
        [_step("ventilation", 20), _step("perfusion", 20, after=30, dose=2)], ["allergy", "isolation"],
    ),
    "MPI-STRESS": (
        "Myocardial perfusion, stress", "心肌灌注显像(负荷)", "NM", "HEART", "heart", "Tc-99m MIBI", 925, 60, HEART,
        [_step("stress", 30)], ["fasting", "drugs_stopped", "consent"],
    ),
    "MPI-REST": (
        "Myocardial perfusion, rest", "心肌灌注显像(静息)", "NM", "HEART", "heart", "Tc-99m MIBI", 925, 60, HEART,
        [_step("rest", 30)], ["fasting"],
    ),
    "MPI-GATED": (
        "Myocardial perfusion, gated, stress and rest on two days", "门控心肌灌注显像(两日法)", "NM", "HEART", "heart",
        "Tc-99m MIBI", 925, 60, HEART,
        [_step("gated stress", 30), _step("gated rest", 30, after=DAY, window=60, dose=2)],
        ["fasting", "drugs_stopped", "consent"],
    ),
    "MUGA": (
        "Radionuclide ventriculography", "门控心血池显像", "NM", "HEART", "heart", "Tc-99m red cells", 740, 20, HEART,
        [_step("gated blood pool", 30)], [],
    ),
    "SLN": (
        "Sentinel lymph node", "前哨淋巴结显像", "NM", "BREAST", "oncology", "Tc-99m sulfur colloid", 37, 30, PLANAR,
        [_step("static", 20, window=60)], ["allergy", "consent"],
    ),
    "PET-FDG": (
        "PET, FDG", "18F-FDG PET显像", "PT", "WHOLEBODY", "oncology", "F-18 FDG", 300, 60, PET,
        [_step("whole body", 25, window=15)], ["fasting", "glucose"],
    ),
    "PETCT-FDG": (
        "PET/CT, FDG", "18F-FDG PET/CT显像", "PT", "WHOLEBODY", "oncology", "F-18 FDG", 300, 60, PET,
        [_step("whole body", 25, window=15)], ["fasting", "glucose"],
    ),
    "RAIU-PROBE": (
        "Iodine uptake by probe", "甲状腺吸碘率测定", "NM", "THYROID", "endocrine", "I-131 sodium iodide", 0.2, 120,
        "uptake", [_step("2 hours", 5), _step("24 hours", 5, after=DAY - 120, window=60)],
        ["fasting", "drugs_stopped"],
    ),
}  # fmt: skip
BY_DOCUMENT = frozenset({"RAIU-PROBE"})
_SPECT: dict[str, object] = {"filter": "butterworth", "cut_off": 0.45, "cut_off_unit": "cycles/cm", "heart_axes": True}
PROCESSING: dict[str, list[dict[str, object]]] = {
    code: [{"recipe": "spect", "parameters": _SPECT}] for code in ("MPI-STRESS", "MPI-REST", "MPI-GATED")
}
REPORT_WITHIN = {"LUNG-PERF": 4 * 60, "LUNG-VQ": 4 * 60, "SLN": 2 * 60}


def stock_catalogue(work: Work, site: str) -> None:
    """Give a new site the catalogue photopeak ships with; entries it has already stay as they are."""
    known = set(work.session.exec(select(Procedure.code).where(Procedure.site == site)))
    work.add(*(_row(site, code, entry) for code, entry in TABLE.items() if code not in known))


def _row(site: str, code: str, entry: _Entry) -> Procedure:
    name, name_zh, modality, body_part, specialty, tracer, mbq, uptake, template, steps, checks = entry
    return Procedure(
        site=site, code=code, name=name, name_zh=name_zh, modality=modality, body_part=body_part, specialty=specialty,
        radiopharmaceutical=tracer, usual_activity_mbq=mbq, uptake_minutes=uptake,
        duration_minutes=max(_minutes(step, "duration_minutes") for step in steps), steps=steps,
        checks=[*RADIATION, *checks], evidence="document" if code in BY_DOCUMENT else "images",
        report_within_minutes=REPORT_WITHIN.get(code, DAY), report_template=template,
        processing=PROCESSING.get(code, []),
    )  # fmt: skip


def _minutes(step: dict[str, object], key: str) -> int:
    return int(str(step.get(key) or 0))


def entries(work: Work, actor: Actor) -> list[wire.Procedure]:
    """Return the site's procedures by code."""
    access.require(actor, Operation.FIND, own=True)
    found = select(Procedure).where(Procedure.site == actor.site, col(Procedure.enabled)).order_by(col(Procedure.code))
    return [shape(entry) for entry in work.session.exec(found)]


def find(work: Work, site: str, code: str) -> Procedure:
    """Return the entry of a code, whatever its case.

    Raises
    ------
    NotFound
        Naming the codes there are.
    """
    by_site = select(Procedure).where(Procedure.site == site, col(Procedure.enabled)).order_by(col(Procedure.code))
    known = {entry.code: entry for entry in work.session.exec(by_site)}
    if code.upper() not in known:
        msg = f"'{code}' is not in the catalogue: use one of {', '.join(known)}"
        raise NotFound(msg)
    return known[code.upper()]


def change(work: Work, actor: Actor, code: str, form: wire.ProcedureChange) -> wire.Procedure:
    """Edit an entry, or add one under a new code; exams registered before keep the steps they were given."""
    access.require(actor, Operation.ADMINISTER)
    by_code = select(Procedure).where(Procedure.site == actor.site, Procedure.code == code.upper())
    entry = work.session.exec(by_code).first()
    entry = entry or Procedure(site=actor.site, code=code.upper(), name=code.upper(), steps=[_step("images", 30)])
    given: dict[str, Any] = form.model_dump(exclude_none=True)
    if form.processing is not None:
        given["processing"] = asking.asked(form.processing)
    for name, value in given.items():
        setattr(entry, name, value)
    work.add(entry)
    audit.record(work, actor, "catalogue.change", entry.code, **given)
    return shape(entry)


def shape(entry: Procedure) -> wire.Procedure:
    """Return an entry as it travels."""
    fields = wire.Procedure.model_fields
    return wire.Procedure.model_validate({name: getattr(entry, name) for name in fields})
