"""Where objects really are: what Instance Availability says of them beyond their tier (PS3.3 C.12.1.1.10, PS3.4 C.4).

An archive tier whose disk is away is offline, and what is found damaged is unavailable, with the series and studies it
belongs to: an answer says the least available of its objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from sqlmodel import col, select

from core.archive import index
from core.dicom.information_models import UNIQUE_KEYS
from core.dicom.matching import level_of
from core.model import Damage, Image, Series, Study
from core.records import Work

_AVAILABLE = tag_for_keyword("InstanceAvailability")
_COLUMNS = {"STUDY": Study.uid, "SERIES": Series.uid, "IMAGE": Image.sop_uid}

Answer = tuple[str, ...]


def told(work: Work, keys: Dataset, site: str, answers: Iterator[Answer], *, archive_is_away: bool) -> Iterator[Answer]:
    """Correct the Instance Availability of answers, given as `index.find` gives them, where it was asked for."""
    held = index.held(keys)
    if _AVAILABLE not in held:
        return answers
    look = _damage(work, level_of(keys), held, site)
    return _corrected(answers, held.index(_AVAILABLE), look, archive_is_away=archive_is_away)


def _corrected(
    answers: Iterator[Answer], at: int, is_damaged: Callable[[Answer], bool], *, archive_is_away: bool
) -> Iterator[Answer]:
    for answer in answers:
        said = "OFFLINE" if archive_is_away and answer[at] == "NEARLINE" else answer[at]
        yield (*answer[:at], "UNAVAILABLE" if is_damaged(answer) else said, *answer[at + 1 :])


def _damage(work: Work, level: str, held: Sequence[int], site: str) -> Callable[[Answer], bool]:
    """Return what says whether an answer has a damaged object, by the unique key of its level where that is asked."""
    column, key = _COLUMNS.get(level), tag_for_keyword(UNIQUE_KEYS.get(level, ""))
    if column is None or key not in held:
        return lambda _answer: False
    found = select(column).select_from(Damage)
    found = found.join(Image, (col(Image.site) == Damage.site) & (col(Image.sop_uid) == Damage.sop_uid))
    found = found.join(Series, col(Series.id) == Image.series_id).join(Study, col(Study.id) == Series.study_id)
    found = found.where(Damage.site == site, col(Damage.mended_at).is_(None), Damage.path == Image.path)
    damaged, at = set(work.session.exec(found)), held.index(key)
    return lambda answer: answer[at] in damaged
