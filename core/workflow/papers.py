"""What stands on paper: the facts of a report's page and of the receipt a patient takes home.

A page says what it is: a draft, a preliminary, overridden or withdrawn report is marked on it, and cannot pass as
signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from sqlmodel import select

from core import access, course, wire
from core.access import Actor
from core.errors import Refused
from core.model import Exam, Site, Staff
from core.records import Work
from core.vocabulary import REPORT_SIGNED, Operation, ReportState
from core.workflow import reading

_DATE, _MOMENT = "%Y-%m-%d", "%Y-%m-%d %H:%M"
_SEX = {"M": "男 M", "F": "女 F", "O": "其他 O"}
_VISIT = {
    "outpatient": "门诊 outpatient", "inpatient": "住院 inpatient", "emergency": "急诊 emergency",
    "checkup": "体检 check-up", "transfer": "转院 transfer",
}  # fmt: skip
_MARKS = {
    ReportState.DRAFT: "草稿，未签发 DRAFT, NOT SIGNED",
    ReportState.PRELIMINARY: "初步报告，未经审核 PRELIMINARY, NOT YET REVIEWED",
    ReportState.WITHDRAWN: "已作废 WITHDRAWN",
}
_ACROSS = {
    ReportState.DRAFT: "草稿 DRAFT",
    ReportState.PRELIMINARY: "初步 PRELIMINARY",
    ReportState.WITHDRAWN: "作废 WITHDRAWN",
}
_TITLES = {
    "technique": "检查方法 Technique", "findings": "检查所见 Findings", "impression": "诊断意见 Impression",
    "function": "功能参数 Function", "stress": "负荷试验 Stress", "comparison": "对比 Comparison",
    "measurement": "测定结果 Measurement",
}  # fmt: skip


def report(work: Work, actor: Actor, reference: str) -> dict[str, object]:
    """Return the facts of the report's page, as it stands.

    Raises
    ------
    Refused
        When nothing is written yet.
    Forbidden
        When it is not signed and the actor is not one who writes reports.
    """
    row = course.find_exam(work, reference, actor.site)
    exam, shown = course.shape(work, row), reading.show(work, actor, reference)
    signed = shown.state in REPORT_SIGNED or shown.state is ReportState.WITHDRAWN
    if not signed:
        access.require(actor, Operation.WRITE_REPORT, own=row.assigned_to == actor.name)
    versions = reading.versions(work, actor, reference)
    last = versions[-1] if versions and (signed or shown.state is ReportState.PRELIMINARY) else None
    if last:  # who is writing sees what they write; a page shows what it says it is
        shown = shown.model_copy(update={"text": last.text})
    if not any(part.strip() for part in shown.text.values()):
        msg = f"nothing is written for {exam.accession} yet: there is no page to print"
        raise Refused(msg)
    return {
        "number": exam.accession,
        "site": _site_name(work, row),
        "title": "检查报告 Report",
        "marks": _marks(shown, last),
        "across": _ACROSS.get(shown.state, ""),
        "about": _about(exam),
        "sections": _sections(shown),
        "consultations": [_consultation(work, one) for one in shown.consultations if one.opinions or one.conclusion],
        "series": [[exam.accession, s["step"] or "-", _day(str(s["date"])), s["description"]] for s in shown.series],
        "signatures": _signatures(work, shown, versions),
        "seal": f"version {last.number}  SHA-256 {last.sha256}" if last and last.sha256 else "",
        "footer": _footer(work, f"{exam.accession}  {exam.patient_number}"),
    }


def receipt(work: Work, actor: Actor, reference: str) -> dict[str, object]:
    """Return the facts of the paper a patient takes home after registration."""
    access.require(actor, Operation.FIND)
    row = course.find_exam(work, reference, actor.site)
    exam = course.shape(work, row)
    entry = course.procedure_of(work, row)
    return {
        "number": exam.accession,
        "site": _site_name(work, row),
        "title": "检查预约单 Appointment",
        "about": [*_about(exam)[:8], ["时间 When", _when(exam)], ["费用 Charge", exam.charge.value]],
        "advice": _advice(entry.checks if entry else []),
        "footer": _footer(work, "请携带本单及证件 Please bring this paper and an identity document."),
    }


def _about(exam: wire.Exam) -> list[list[str]]:
    name = "  ".join(
        filter(None, (exam.patient_name_ideographic.replace("^", ""), exam.patient_name.replace("^", " ")))
    )
    size = "  ".join(f"{value:g} {unit}" for value, unit in ((exam.weight_kg, "kg"), (exam.height_cm, "cm")) if value)
    doses = "; ".join(
        f"{one.radiopharmaceutical} {one.drawn_mbq or one.planned_mbq or 0:g} MBq {_moment(one.injected_at)}".strip()
        for one in exam.doses
    )
    return [
        ["姓名 Name", name],
        ["病人号 Patient", exam.patient_number],
        ["性别 Sex", _SEX.get(exam.patient_sex, "-")],
        ["出生 Born", _birth(exam.patient_birth_date)],
        ["检查号 Accession", exam.accession],
        ["类别 Visit", _VISIT.get(exam.visit.value, exam.visit.value)],
        ["检查 Procedure", exam.procedure_name],
        ["申请 Referred by", " ".join(filter(None, (exam.from_department, exam.referrer))) or "-"],
        ["临床 Clinical", "; ".join(filter(None, (exam.complaint, exam.diagnosis))) or "-"],
        ["药物 Tracer", doses or "-"],
        ["检查时间 Done", _moment(max(filter(None, (s.finished_at for s in exam.steps)), default=None)) or "-"],
        ["体格 Size", size or "-"],
    ]


def _sections(shown: wire.Report) -> list[dict[str, str]]:
    """Return the parts in the template's order, then parts it does not know; empty ones are left out."""
    titles = {part.name: _TITLES.get(part.name, part.title) for part in shown.parts}
    names = [*titles, *(name for name in shown.text if name not in titles)]
    return [
        {"title": titles.get(name) or _TITLES.get(name, name.capitalize()), "text": shown.text[name].strip()}
        for name in names
        if shown.text.get(name, "").strip()
    ]


def _marks(shown: wire.Report, last: wire.ReportVersion | None) -> list[str]:
    marks = [_MARKS[shown.state]] if shown.state in _MARKS else []
    if shown.state is ReportState.AMENDED and last:
        marks.append(f"修正报告，代替第 {last.predecessor} 版 AMENDED, replaces version {last.predecessor}")
    reason = last.reason if last else ""
    if shown.override_reason and "lock overridden" not in reason:
        reason = "; ".join(filter(None, (reason, f"lock overridden: {shown.override_reason}")))
    if reason:
        marks.append(f"原因 Reason: {reason}")
    return [*marks, *(f"注意 Note: {warning}" for warning in shown.warnings)]


def _signatures(work: Work, shown: wire.Report, versions: Sequence[wire.ReportVersion]) -> list[list[str]]:
    if shown.state is ReportState.WITHDRAWN:
        last = versions[-1]
        return [["作废 Withdrawn by", _full_name(work, last.signed_by)], ["时间 At", _moment(last.signed_at)]]
    written = [["报告 Written by", _full_name(work, versions[-1].author if versions else shown.author)]]
    if shown.signed_by is None:
        return [*written, ["审核 Reviewed by", "-"]]
    return [*written, ["审核 Signed by", f"{_full_name(work, shown.signed_by)}  {_moment(shown.signed_at)}"]]


def _consultation(work: Work, one: wire.Consultation) -> dict[str, object]:
    opinions = [{"by": _full_name(work, o.by), "at": _moment(o.at), "text": o.text} for o in one.opinions]
    return {"question": one.question, "opinions": opinions, "conclusion": one.conclusion}


def _advice(checks: Iterable[str]) -> list[str]:
    words = {
        "fasting": "检查前请空腹 6 小时。 Please fast for 6 hours before.",
        "drugs_stopped": "请按医嘱停药。 Stop the drugs you were told to stop.",
        "pregnancy": "怀孕或可能怀孕请告知工作人员。 Tell us if you are or may be pregnant.",
        "breastfeeding": "哺乳期请告知工作人员。 Tell us if you are breastfeeding.",
    }
    return [words[check] for check in checks if check in words]


def _when(exam: wire.Exam) -> str:
    planned = [step.planned_at for step in exam.steps if step.planned_at]
    return _moment(min(planned, default=exam.booked_at or exam.registered_at))


def _footer(work: Work, said: str) -> str:
    return f"{said}    {_moment(work.now)}"


def _site_name(work: Work, exam: Exam) -> str:
    site = work.session.get(Site, exam.site)
    return site.name if site and site.name else exam.site


def _full_name(work: Work, username: str | None) -> str:
    staff = work.session.exec(select(Staff).where(Staff.username == username)).first()
    return (staff.full_name or staff.username) if staff else username or "-"


def _moment(at: datetime | None) -> str:
    return wire.local(at).strftime(_MOMENT) if at else ""


def _birth(born: date | None) -> str:
    return born.strftime(_DATE) if born else "-"


def _day(written: str) -> str:
    """Write a DICOM date as people do."""
    return f"{written[:4]}-{written[4:6]}-{written[6:8]}" if len(written) >= len("YYYYMMDD") else written or "-"
