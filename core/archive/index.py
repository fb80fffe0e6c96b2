"""Answers queries from the four tables of what arrived.

The database cuts down the candidates by what it has indexes for; `matching` decides, on the texts of the row. A key
that no table holds matches all and comes back empty. Order and answers depend on what was sent alone, so a rebuilt
index answers the same, and so does a database without trigrams.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from sqlalchemy import (
    Connection,
    String,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy import column as column_clause
from sqlalchemy import table as table_clause
from sqlalchemy.orm import aliased
from sqlmodel import AutoString, col

from core.dicom import matching
from core.dicom.information_models import LEVELS, Matching, Model
from core.dicom.matching import Wish
from core.dicom.ranges import as_date, as_range
from core.model import Image, SentPatient, Series, Study
from core.records import Prepared, Work

Row = Sequence[Any]
Column = Any  # an attribute of SQLModel's tables, or an expression of SQLAlchemy: their types differ without end
Clause = Any
_FIRST, _AT_ONCE = 16, 500  # rows looked at before the first answer goes out, and then
_MOST_VALUES = 30_000  # in one list; SQLite takes 32766 parameters
_TRIGRAM = 3
_LAST_SIGN = "\U0010ffff"
_WILD = re.compile(r"[*?]")
_AVAILABILITY = {"online": "ONLINE", "offline": "OFFLINE"}
_PATIENT, _STUDY, _SERIES, _IMAGE = range(len(LEVELS))


def _tag(keyword: str) -> int:
    return tag_for_keyword(keyword) or 0


def _columns(**columns: Column) -> dict[int, Column]:
    return {_tag(keyword): column for keyword, column in columns.items()}


_COLUMNS: tuple[dict[int, Column], ...] = (
    _columns(
        PatientID=SentPatient.patient_number, IssuerOfPatientID=SentPatient.issuer, PatientName=SentPatient.name,
        PatientBirthDate=SentPatient.birth_date, PatientSex=SentPatient.sex,
    ),
    _columns(
        StudyInstanceUID=Study.uid, StudyDate=Study.date, StudyTime=Study.time, AccessionNumber=Study.accession,
        StudyID=Study.study_id, StudyDescription=Study.description, ReferringPhysicianName=Study.referrer,
    ),
    _columns(
        SeriesInstanceUID=Series.uid, Modality=Series.modality, SeriesNumber=Series.number,
        SeriesDescription=Series.description, SeriesDate=Series.date, SeriesTime=Series.time,
        BodyPartExamined=Series.body_part, StationName=Series.station,
    ),
    _columns(
        SOPInstanceUID=Image.sop_uid, SOPClassUID=Image.sop_class, InstanceNumber=Image.number,
        NumberOfFrames=func.nullif(Image.frames, 0), ImageType=Image.image_type,
        AvailableTransferSyntaxUID=Image.transfer_syntax,
    ),
)  # fmt: skip
"""What each level's table holds, by tag."""

_IDENTITY: tuple[Column, ...] = tuple(_COLUMNS[_PATIENT].values())
_TABLES: tuple[Any, ...] = (SentPatient, Study, Series, Image)
_ABOVE: tuple[Column, ...] = (None, Study.sent_patient_id, Series.study_id, Image.series_id)
_KEYS: tuple[tuple[Column, ...], ...] = (_IDENTITY, (Study.uid,), (Series.uid,), (Image.tier,))
"""What the derived attributes of each level are grouped by."""

_SAME: tuple[tuple[Column, ...], ...] = (
    _IDENTITY,
    (Study.uid, SentPatient.patient_number),
    (Series.uid, Study.uid, SentPatient.patient_number),
    (Image.sop_uid,),
)
"""What makes a row of each level one and the same for a peer: identities differ in more than a peer asks for."""

_UNIQUE: tuple[Column, ...] = (SentPatient.patient_number, Study.uid, Series.uid, Image.sop_uid)
_COUNTED: dict[int, tuple[int, int]] = {
    _tag(f"NumberOf{of}Related{what}"): (depth, counted)
    for depth, of in enumerate(("Patient", "Study", "Series"))
    for counted, what in enumerate(("Patients", "Studies", "Series", "Instances"))
    if counted > depth
}
_NAME, _MODALITIES, _CLASSES = _tag("PatientName"), _tag("ModalitiesInStudy"), _tag("SOPClassesInStudy")
_AVAILABLE = _tag("InstanceAvailability")
_INDEXED = frozenset(
    map(_tag, ("PatientID", "StudyInstanceUID", "AccessionNumber", "SeriesInstanceUID", "SOPInstanceUID"))
)
_NOT_AS_WRITTEN = frozenset(map(_tag, ("ReferringPhysicianName", "ImageType", "NumberOfFrames")))
"""Matched by folded letters, one by one of several, or where 0 is none: `matching` looks at them alone."""
_ANY_NAMED = tuple(
    Prepared(
        select(literal_column("1")).select_from(SentPatient.__table__).where(  # type: ignore[attr-defined]
            col(SentPatient.site) == bindparam("site"), group >= bindparam("first"), group < bindparam("last")
        ).limit(1)
    )
    for group in (col(SentPatient.ideographic), col(SentPatient.phonetic))
)  # fmt: skip
"""Whether any name has something in its second and third group, from here to there."""
_OF_TRIGRAMS: dict[Column, str] = {
    SentPatient.alphabetic: "alphabetic", SentPatient.ideographic: "ideographic", SentPatient.phonetic: "phonetic",
    SentPatient.patient_number: "patient_number", Study.description: "description", Study.accession: "accession",
}  # fmt: skip


def held(keys: Dataset) -> tuple[int, ...]:
    """Return the attributes of a query that `find` has values for at its level, in the order it gives them."""
    depth = _depth(keys)
    asked = sorted(int(tag) for tag in keys.keys())  # noqa: SIM118 - iterating a Dataset decodes its elements
    direct = {tag for columns in _COLUMNS[: depth + 1] for tag in columns}
    derived = {_AVAILABLE, *(tag for tag, (of, _) in _COUNTED.items() if of <= depth)}
    derived |= {_MODALITIES, _CLASSES} if depth >= _STUDY else set()
    return (*(tag for tag in asked if tag in direct), *(tag for tag in asked if tag in derived))


def find(work: Work, keys: Dataset, model: Model, site: str) -> Iterator[tuple[str, ...]]:
    """Yield what answers a Study or Patient Root query at the level it names (PS3.4 C.4.1.3): the texts of `held`."""
    return _Query(work, keys, model, site).answers()


def named(work: Work, uids: Sequence[Sequence[str]], site: str) -> list[Image]:
    """Return the objects that unique keys name (PS3.4 C.4.2.2.1), in the order they belong in.

    `uids` has the values asked for at each level from the patient's down to that of the request, empty where it does
    not say; the last ones find the rows.
    """
    depth = len(uids) - 1
    found: Any = select(Image).select_from(_joined(_PATIENT, _IMAGE))
    for level, values in enumerate(uids):
        if values:
            found = found.where(_among(work.session.connection(), _UNIQUE[level], values))
    owner: Column = (SentPatient.site, Study.site, func.coalesce(Study.site, ""), Image.site)[depth]
    return list(work.session.scalars(found.where(owner == site).order_by(*_order(_IMAGE, few=True))))


def _depth(keys: Dataset) -> int:
    return LEVELS.index(matching.level_of(keys))


@dataclass(frozen=True)
class _Layout:
    """What is read for the attributes of a query: first those a row has, then what tells one answer from another.

    `keys` says where, by level, stands what derived attributes are looked up by; `few` and `many` are the statement,
    but for its conditions, when few rows are expected and when not.
    """

    width: int
    derived: tuple[int, ...]
    same: tuple[int, ...]
    keys: dict[int, tuple[int, ...]]
    few: Clause
    many: Clause


@lru_cache(maxsize=256)
def _layout(depth: int, tags: tuple[int, ...]) -> _Layout:
    """Lay out a query; peers ask the same again and again, and statements are slow to build."""
    columns = {tag: column for level in _COLUMNS[: depth + 1] for tag, column in level.items()}
    direct = [_as_text(columns[tag]) for tag in tags if tag in columns]
    derived = tuple(tag for tag in tags if tag not in columns)
    beside: dict[Column, int] = {}

    def place(column: Column) -> int:
        return beside.setdefault(column, len(direct) + len(beside))

    same = tuple(place(column) for column in _SAME[depth])
    levels = {_level(tag, depth) for tag in derived}
    keys = {of: tuple(place(column) for column in _KEYS[of]) for of in levels}
    read = select(*direct, *beside).select_from(_joined(_PATIENT, depth))
    few, many = (read.order_by(*_order(depth, few=few)) for few in (True, False))
    return _Layout(len(direct), derived, same, keys, few, many)


def _level(tag: int, depth: int) -> int:
    """Return the level a derived attribute belongs to."""
    if tag in _COUNTED:
        return _COUNTED[tag][0]
    return depth if tag == _AVAILABLE else _STUDY


class _Query:
    """One query: its rows, read some hundred at a time, and what is derived from the rows below them."""

    def __init__(self, work: Work, keys: Dataset, model: Model, site: str) -> None:
        self._connection = work.session.connection()
        self._site, self._depth = site, _depth(keys)
        tags = held(keys)
        self._layout = _layout(self._depth, tags)
        places = {tag: at for at, tag in enumerate(tags)}
        self._wishes = [wish for wish in matching.wishes(keys, model) if wish.tag in places]
        conditions = _Conditions(self._connection, site, self._depth)
        clauses, few = conditions.of(self._wishes)
        self._statement: Clause = (self._layout.few if few else self._layout.many).where(*clauses)
        tests = [(places[wish.tag], wish.test()) for wish in self._wishes if wish.tag not in conditions.decided]
        self._tests = [(at, test) for at, test in tests if at < self._layout.width]
        self._late_tests = [(at, test) for at, test in tests if at >= self._layout.width]

    def answers(self) -> Iterator[tuple[str, ...]]:
        """Yield the texts of each answer once."""
        seen: set[tuple[str, ...]] = set()
        width, which = self._layout.width, itemgetter(*self._layout.same)
        for rows in self._read():
            likely = rows
            for at, test in self._tests:
                likely = [row for row in likely if test(row[at])]
            lookups = [self._lookup(tag, likely) for tag in self._layout.derived] if likely else []
            for row in likely:
                texts = (*row[:width], *[look(row) for look in lookups])
                same = which(row)
                if same not in seen and all(test(texts[at]) for at, test in self._late_tests):
                    seen.add(same)
                    yield texts

    def _read(self) -> Iterator[Sequence[Row]]:
        """Yield rows in order, few at first so that the first answer goes out at once."""
        result = self._connection.execute(self._statement, execution_options={"stream_results": True})
        try:
            rows = result.fetchmany(_FIRST)
            while rows:
                yield rows
                rows = result.fetchmany(_AT_ONCE)
        finally:
            result.close()

    # -- what the rows below say -------------------------------------------------------------------------------------

    def _lookup(self, tag: int, rows: Sequence[Row]) -> Callable[[Row], str]:
        """Return what gives a derived attribute of a row, read for all of `rows` at once."""
        of = _level(tag, self._depth)
        places = self._layout.keys[of]
        key = itemgetter(*places)
        if of == _IMAGE:
            return lambda row: _AVAILABILITY.get(key(row), "NEARLINE")
        firsts = list({row[places[0]] for row in rows})
        known, otherwise = self._counts(tag, firsts) if tag in _COUNTED else self._said(tag, of, firsts)
        return lambda row: known.get(key(row), otherwise)

    def _counts(self, tag: int, firsts: Sequence[str]) -> tuple[dict[Any, str], str]:
        of, what = _COUNTED[tag]
        found = _below(of, what, tag).where(*self._among(of, firsts)).group_by(*_KEYS[of])
        key = itemgetter(*range(len(_KEYS[of])))
        return {key(row): str(row[-1]) for row in self._connection.execute(found).all()}, "0"

    def _said(self, tag: int, of: int, firsts: Sequence[str]) -> tuple[dict[Any, str], str]:
        """Return what the rows below have, several values in order, and what is said where they have nothing."""
        found = _below(of, _SERIES if tag == _MODALITIES else _IMAGE, tag).where(*self._among(of, firsts))
        if tag == _AVAILABLE:
            found = found.where(Image.tier != literal_column("'online'"))
        said: dict[Any, set[str]] = {}
        key = itemgetter(*range(len(_KEYS[of])))
        for row in self._connection.execute(found if tag == _MODALITIES else found.distinct()).all():
            said.setdefault(key(row), set()).add(row[-1])
        if tag == _AVAILABLE:
            return {one: _least_available(tiers) for one, tiers in said.items()}, "ONLINE"
        return {one: "\\".join(sorted(filter(None, values))) for one, values in said.items()}, ""

    def _among(self, of: int, firsts: Sequence[str]) -> tuple[Clause, ...]:
        site = _TABLES[min(of, _STUDY)].site == self._site
        return (site, _among(self._connection, _KEYS[of][0], firsts))


@lru_cache(maxsize=64)
def _below(of: int, depth: int, tag: int) -> Clause:
    """Select what a derived attribute is made of, from the level below that has it, with what it belongs to."""
    column: Column = {_MODALITIES: Series.modality, _CLASSES: Image.sop_class, _AVAILABLE: Image.tier}.get(tag)
    if tag in _COUNTED:
        column = func.count(col(Image.id)) if depth == _IMAGE else func.count(func.distinct(_KEYS[depth][0]))
    return select(*_KEYS[of], column).select_from(_joined(min(of, _STUDY), depth))


def _among(connection: Connection, column: Column, values: Sequence[str]) -> Clause:
    """Ask for any of many values; in SQLite as one parameter, since the statement is then prepared once."""
    if connection.dialect.name != "sqlite":
        return column.in_(values)
    each = func.json_each(json.dumps(values)).table_valued("value")
    return column.in_(select(each.c.value))


def _joined(top: int, depth: int) -> Clause:
    """Join the tables from one level down to another."""
    tables = _TABLES[top].__table__
    for level in range(top + 1, depth + 1):
        tables = tables.join(_TABLES[level].__table__, _ABOVE[level] == _TABLES[level - 1].id)
    return tables


def _as_text(column: Column) -> Clause:
    always = isinstance(column.type, String | AutoString) and not column.expression.nullable
    return column if always else func.coalesce(cast(column, String), "")


def _order(depth: int, *, few: bool) -> Iterator[Column]:
    """Yield what the answers are sorted by.

    Few rows are sorted by an expression: SQLite keeps no statistics here, and would walk the whole index of the dates
    to spare itself the sorting.
    """
    first = [(SentPatient.patient_number,), (Study.date, Study.time, Study.uid)][depth > _PATIENT]
    yield from (func.coalesce(column, "") if few else column for column in first)
    yield from (SentPatient.patient_number, SentPatient.name, SentPatient.identity_key)
    if depth >= _SERIES:
        yield from (col(Series.number).nulls_first(), Series.uid)
    if depth == _IMAGE:
        yield from (col(Image.number).nulls_first(), Image.sop_uid)


def _least_available(tiers: Collection[str]) -> str:
    """Return the availability of the least available object (PS3.4 C.4.1.1.3.2, note); the rest are online."""
    said = {_AVAILABILITY.get(tier, "NEARLINE") for tier in tiers}
    return next((word for word in ("OFFLINE", "NEARLINE") if word in said), "ONLINE")


# -- what a database can make of a key -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Condition:
    """What each answer fulfils, though not only answers may.

    `few` when an index finds the rows that do, `by_id` when the rows are named by their ids, `exact` when only answers
    do and nothing is left to look at.
    """

    clause: Clause
    few: bool = False
    by_id: bool = False
    exact: bool = False


class _Conditions:
    """Turns the keys of a query into conditions."""

    def __init__(self, connection: Connection, site: str, depth: int) -> None:
        self._connection, self._site, self._depth = connection, site, depth
        self._sqlite = connection.dialect.name == "sqlite"
        self.decided: set[int] = set()  # the attributes that the clauses decide alone

    def of(self, wishes: Iterable[Wish]) -> tuple[list[Clause], bool]:
        """Return the clauses, and whether few rows are expected to fulfil them."""
        found = {wish.tag: condition for wish in wishes if (condition := self._condition(wish)) is not None}
        self.decided = {tag for tag, condition in found.items() if condition.exact}
        few = {tag for tag, condition in found.items() if condition.few}
        start = SentPatient if self._depth == _PATIENT or few & _COLUMNS[_PATIENT].keys() else Study
        by_id = any(condition.by_id for condition in found.values())
        site: Column = func.coalesce(start.site, "") if by_id else start.site  # an index of sites would be taken first
        return [site == self._site, *(condition.clause for condition in found.values())], bool(few)

    def _condition(self, wish: Wish) -> _Condition | None:
        if wish.anything:
            return None
        if wish.tag in (_MODALITIES, _CLASSES):
            return self._in_study(wish)
        if wish.tag == _NAME:
            return self._named(wish)
        column = next((level[wish.tag] for level in _COLUMNS if wish.tag in level), None)
        if column is None or wish.tag in _NOT_AS_WRITTEN:
            return None
        return self._on(column, wish, indexed=wish.tag in _INDEXED)

    def _on(self, column: Column, wish: Wish, *, indexed: bool = False) -> _Condition | None:
        if wish.matching is Matching.RANGE:
            return _dates(column, wish) if wish.vr == "DA" else None
        if wish.vr == "IS":
            return _Condition(column.in_([int(one) for one in wish.asked if re.fullmatch(r"-?[0-9]{1,9}", one)]))
        if wish.matching is Matching.WILDCARD and any(map(_WILD.search, wish.asked)):
            return self._like(column, wish.asked, indexed=indexed)
        if len(wish.asked) > _MOST_VALUES:
            return None
        return _Condition(column.in_(wish.asked), indexed, exact=True)

    def _in_study(self, wish: Wish) -> _Condition | None:
        """Ask for a study that has it, under whichever identity: what is derived counts them all."""
        study: Column = aliased(Study)
        series: Column = aliased(Series)
        image: Column = aliased(Image)
        column: Column = series.modality if wish.tag == _MODALITIES else image.sop_class
        asked = self._on(column, wish)
        if asked is None:
            return None
        there: Clause = select(literal_column("1")).select_from(study).join(series, series.study_id == study.id)
        if wish.tag == _CLASSES:
            there = there.join(image, image.series_id == series.id)
        there = there.where(study.site == self._site, study.uid == Study.uid, asked.clause)
        return _Condition(exists(there.correlate(Study)))

    def _named(self, wish: Wish) -> _Condition | None:
        """Find a name by any of its groups, as they were folded when written."""
        keys = [matching.folded_name(one) for one in wish.asked]
        groups = [SentPatient.alphabetic, SentPatient.ideographic, SentPatient.phonetic]
        in_groups = any("=" in key for key in keys)  # the others are left to `matching`
        if in_groups:
            keys, groups = [key.split("=")[0] + "*" for key in keys], groups[:1]
        if (anywhere := self._in_any(groups, keys)) is not None:
            return anywhere
        found = [self._like(group, keys, indexed=True) for group in self._with_any(groups, keys)]
        several = [one for one in found if one is not None]
        if len(several) < len(found):
            return None
        if len(several) == 1:
            return replace(several[0], exact=several[0].exact and not in_groups)
        if not all(one.few for one in several):
            return _Condition(or_(*(one.clause for one in several)))
        ids = (self._ids(one, group) for one, group in zip(several, groups, strict=True))
        return _Condition(col(SentPatient.id).in_(union_all(*ids)), few=True, by_id=True)

    def _in_any(self, groups: Sequence[Column], keys: Sequence[str]) -> _Condition | None:
        """Ask the trigrams of all groups at once for parts of names, where every key is long enough for them."""
        parts = [max(_WILD.split(key), key=len) for key in keys]
        begin = any(_WILD.split(key)[0] for key in keys)
        if begin or min(map(len, parts)) < _TRIGRAM or not self._has_trigrams(groups[0]):
            return None
        return _Condition(or_(*(_in_trigrams(groups, part) for part in parts)), few=True, by_id=True)

    def _with_any(self, groups: Sequence[Column], keys: Sequence[str]) -> Sequence[Column]:
        """Leave the ideographic and the phonetic group out where no name has there what a key begins with."""
        firsts = [_WILD.split(key)[0] for key in keys]
        if not self._sqlite or not all(firsts):
            return groups
        rows = [{"site": self._site, "first": first, "last": first + _LAST_SIGN} for first in firsts]
        others = [any(probe.run(self._connection, row).fetchone() for row in rows) for probe in _ANY_NAMED]
        return groups if any(others) else groups[:1]

    def _ids(self, condition: _Condition, group: Column) -> Clause:
        """Select the patients of this site, or of any where their ids are named."""
        there = select(col(SentPatient.id)).where(condition.clause)
        return there if condition.by_id else there.where(col(SentPatient.site) == self._site, group.is_not(None))

    def _like(self, column: Column, patterns: Sequence[str], *, indexed: bool) -> _Condition | None:
        found = [self._one_like(column, pattern, indexed=indexed) for pattern in patterns]
        several = [one for one in found if one is not None]
        if len(several) < len(found):
            return None
        few, by_id = all(one.few for one in several), all(one.by_id for one in several)
        return _Condition(or_(*(one.clause for one in several)), few, by_id, all(one.exact for one in several))

    def _one_like(self, column: Column, pattern: str, *, indexed: bool) -> _Condition | None:
        """Ask for what a pattern begins with and for its longest other part: linear, whatever a peer thinks of."""
        first, *others = _WILD.split(pattern)
        if not others:
            return _Condition(column == pattern, indexed, exact=True)
        longest = max(others, key=len)
        if first:
            clauses = [self._begins(column, first)]
            clauses += [self._holds(column, longest)] if longest else []
            return _Condition(and_(*clauses), indexed, exact=pattern == first + "*" and first == first.strip())
        if len(longest) >= _TRIGRAM and column in _OF_TRIGRAMS and self._has_trigrams(column):
            return _Condition(_in_trigrams([column], longest), few=True, by_id=True)
        return _Condition(self._holds(column, longest), few=not longest.isascii()) if longest else None

    def _begins(self, column: Column, text: str) -> Clause:
        if self._sqlite:  # compares code points, and takes no index for LIKE
            return and_(column >= text, column < text + _LAST_SIGN)
        return column.startswith(text, autoescape=True)

    def _holds(self, column: Column, part: str) -> Clause:
        return func.instr(column, part) > 0 if self._sqlite else column.contains(part, autoescape=True)

    def _has_trigrams(self, column: Column) -> bool:
        """Whether to ask SQLite's table of trigrams; PostgreSQL takes its own for LIKE, where it has them."""
        if not self._sqlite:
            return False
        there: Clause = select(literal_column("1")).select_from(text("sqlite_master")).where(text("name = :name"))
        return self._connection.execute(there, {"name": f"{column.class_.__tablename__}_trigram"}).first() is not None


def _in_trigrams(columns: Sequence[Column], part: str) -> Clause:
    """Name the rows of which one of some columns of the same table holds a part."""
    owner = columns[0].class_
    table = f"{owner.__tablename__}_trigram"
    phrase, names = part.replace('"', '""'), " ".join(_OF_TRIGRAMS[column] for column in columns)
    trigrams = table_clause(table, column_clause("rowid"))
    wanted = literal_column(table).op("MATCH")(f'{{{names}}} : "{phrase}"')
    return owner.id.in_(select(trigrams.c.rowid).where(wanted))


def _dates(column: Column, wish: Wish) -> _Condition | None:
    """Compare dates as text, which rows have as YYYYMMDD or empty."""
    ranges = [as_range(one, as_date) for one in wish.asked]
    clauses = [
        and_(
            column != "",
            *([column >= f"{dates.first:%Y%m%d}"] if dates.first else []),
            *([column <= f"{dates.last:%Y%m%d}"] if dates.last else []),
        )
        for dates in ranges
        if dates is not None
    ]
    return _Condition(or_(*clauses)) if len(clauses) == len(ranges) else None
