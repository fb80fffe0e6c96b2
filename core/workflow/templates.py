"""The parts a report has, by the template its procedure names, and what a person may start each from.

A starter is offered, never filled in by itself: what is signed was put there by the one who signs.
"""

from core import wire
from core.model import Exam, Procedure

_FINDINGS, _IMPRESSION = ("findings", "Findings"), ("impression", "Impression")
_TECHNIQUE = ("technique", "Technique")

# template: parts as (name, title), in the order they are printed
PARTS: dict[str, tuple[tuple[str, str], ...]] = {
    "": (_FINDINGS, _IMPRESSION),
    "nm_planar": (_TECHNIQUE, _FINDINGS, _IMPRESSION),
    "nm_dynamic": (_TECHNIQUE, _FINDINGS, ("function", "Curves and numbers"), _IMPRESSION),
    "nm_heart": (_TECHNIQUE, ("stress", "Stress"), _FINDINGS, ("function", "Function"), _IMPRESSION),
    "pet": (_TECHNIQUE, ("comparison", "Comparison"), _FINDINGS, _IMPRESSION),
    "uptake": (("measurement", "Measurement"), _IMPRESSION),
}
_STARTERS = {
    "nm_planar": {
        "findings": "Distribution of the tracer is even; no focus of raised or lowered uptake.",
        "impression": "Normal scan.",
    },
    "nm_dynamic": {
        "findings": "Both kidneys are of usual place, size and shape; perfusion is prompt and equal.",
        "function": "Time to peak: left    min, right    min. Split function: left    %, right    %.",
        "impression": "Function of both kidneys within normal limits; no obstruction.",
    },
    "nm_heart": {
        "stress": "Stress:    . Peak heart rate    /min (   % of expected). ECG:    . Symptoms:    .",
        "findings": "Perfusion of all walls is even at stress and at rest.",
        "function": "EF    %. EDV    ml. ESV    ml. Wall motion    .",
        "impression": "No sign of ischaemia or infarction.",
    },
    "pet": {
        "comparison": "None.",
        "findings": "Head and neck:    \nChest:    \nAbdomen and pelvis:    \nSkeleton:    ",
        "impression": "No focus of raised FDG uptake.",
    },
    "uptake": {"measurement": "2 h:    %   24 h:    %", "impression": "Uptake within normal limits."},
}


def parts(exam: Exam, procedure: Procedure | None) -> list[wire.ReportPart]:
    """Return the parts of the exam's report; a template nobody knows gives findings and impression."""
    template = procedure.report_template if procedure and procedure.report_template in PARTS else ""
    starters = {"technique": _technique(exam, procedure), **_STARTERS.get(template, {})}
    return [wire.ReportPart(name=name, title=title, starter=starters.get(name, "")) for name, title in PARTS[template]]


def _technique(exam: Exam, procedure: Procedure | None) -> str:
    if procedure is None:
        return ""
    said = (procedure.name, procedure.radiopharmaceutical, exam.plan)
    return ", ".join(filter(None, said)) + "."
