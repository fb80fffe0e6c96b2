"""Decide which items answer a C-FIND, and with what.

The types of matching of PS3.4 C.2.2.2 are small functions on text; `information_models` says which attribute takes
which. Nothing here raises because of what a peer sent: `match` says no, and `problems` says why.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, datetime

from pydicom import DataElement, Dataset
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import TEXT_VR_DELIMS

from core.dicom.information_models import LEVELS, UNIQUE_KEYS, Key, Matching, Model, Table
from core.dicom.ranges import (
    Range,
    as_date,
    as_one,
    as_range,
    as_time,
    in_range,
    is_range,
    known_date,
    known_time,
    moment_matches,
)

UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, EOFError, OSError, NotImplementedError),
    *(struct.error, BytesLengthException),
)
"""What pydicom raises on elements whose bytes contradict their value representation."""

SPECIFIC_CHARACTER_SET = 0x00080005
QUERY_RETRIEVE_LEVEL = 0x00080052
NUMBERS = frozenset({"US", "UL", "SS", "SL", "FL", "FD", "AT", "SQ"})
TEXTS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})


def match(keys: Dataset, item: Dataset, model: Model) -> bool:
    """Say whether an item answers a query: every key matches by the type its table gives (PS3.4 C.2.2.2).

    Keys the table does not know, and those it gives no type, are return keys and do not decide.
    """
    return _all_match(keys, item, model.table(level_of(keys)), model)


def answer(keys: Dataset, item: Dataset, model: Model) -> Dataset:
    """Return what a matching item says to a query: the attributes asked for, zero length where it knows nothing.

    Specific Character Set (0008,0005) is the caller's, who knows what the peer can show. Private keys are not answered.
    """
    return _answered(keys, item, model.table(level_of(keys)), model)


def level_of(keys: Dataset) -> str:
    """Return the Query/Retrieve Level (0008,0052) of a query, empty when it has none."""
    return next(iter(_texts(keys, QUERY_RETRIEVE_LEVEL)), "").upper()


# What an element says, as text.


def _vr(element: DataElement | RawDataElement) -> str:
    if element.VR:
        return str(element.VR)
    try:
        return dictionary_VR(element.tag)
    except KeyError:
        return "UN"


def _raw_text(dataset: Dataset, element: RawDataElement, vr: str) -> str:
    value = element.value or b""
    if vr not in TEXTS:
        return value.decode("latin-1")
    try:
        return decode_bytes(value, convert_encodings(dataset.original_character_set), TEXT_VR_DELIMS)
    except UNREADABLE:
        return value.decode("latin-1")


def _values(dataset: Dataset, tag: int) -> tuple[str, list[str]]:
    """Return VR and values of an element, without pydicom's validation: it would complain of every wildcard."""
    try:
        element = dataset.get_item(tag)
        if element is None:
            return "UN", []
        vr = _vr(element)
        if isinstance(element, RawDataElement) and vr not in NUMBERS:
            return vr, _raw_text(dataset, element, vr).split("\\")
        return vr, [] if vr == "SQ" else _split(dataset[tag].value)
    except UNREADABLE:
        return "UN", []


def _split(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, MultiValue | list | tuple):
        return [str(one) for one in value]
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value)).split("\\")


def _trimmed(text: str, vr: str) -> str:
    """Drop what does not count: padding, and the writing of a number."""
    if vr == "PN":
        return text.rstrip("\0 ")
    text = text.strip("\0 ")
    if vr not in {"IS", "DS"}:
        return text
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text


def _texts(dataset: Dataset, tag: int) -> list[str]:
    vr, values = _values(dataset, tag)
    return [text for text in (_trimmed(value, vr) for value in values) if text]


def _tags(dataset: Dataset) -> list[BaseTag]:
    return list(dataset.keys())


def _items(dataset: Dataset, tag: int) -> list[Dataset] | None:
    """Return the items of a sequence, or None where the element is no readable sequence."""
    try:
        element = dataset[tag]
        return list(element.value or ()) if element.VR == "SQ" else None
    except UNREADABLE:
        return None


# The types of matching.


def wildcard_matches(pattern: str, text: str) -> bool:
    """Match `*` (any characters, none too) and `?` (exactly one) in time proportional to both lengths (C.2.2.2.4)."""
    if "?" not in pattern:
        return _parts_follow(pattern.split("*"), text)
    at = place = resume = 0
    star = -1
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in {"?", text[place]}:
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def _parts_follow(parts: list[str], text: str) -> bool:
    """Whether the parts of a pattern, with anything between them, make up the text."""
    first, last = parts[0], parts[-1]
    if len(parts) == 1:
        return first == text
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _value_matches(asked: str, known: str, vr: str, matching: Matching, *, folds: bool) -> bool:
    if matching is Matching.RANGE:
        return in_range(asked, known, vr)
    if folds and vr == "PN":
        pattern = folded_name(asked)
        return any(wildcard_matches(pattern, name) for name in _names(known))
    return wildcard_matches(asked, known) if matching is Matching.WILDCARD else asked == known


def folded_name(name: str) -> str:
    """Return a Person Name, or a key for one, without case and trailing delimiters."""
    return name.casefold().rstrip("^= ")


def _names(known: str) -> Iterator[str]:
    """Yield a name and each of its groups: a key of one group finds it in any (PS3.4 C.2.2.2.1.1, note)."""
    whole = folded_name(known)
    yield whole
    if "=" in whole:
        yield from (group.rstrip("^ ") for group in whole.split("=") if group)


# Datasets.


def _all_match(keys: Dataset, item: Dataset, table: Table, model: Model) -> bool:
    joined: set[int] = set()
    for date_tag, time_tag in model.moments:
        asked = _texts(keys, date_tag)[:1], _texts(keys, time_tag)[:1]
        if date_tag in table and all(asked):
            joined |= {date_tag, time_tag}
            known = _texts(item, date_tag)[:1], _texts(item, time_tag)[:1]
            if not all(known) or not moment_matches((asked[0][0], asked[1][0]), (known[0][0], known[1][0])):
                return False
    return all(
        _key_matches(keys, item, tag, table[tag], model) for tag in _tags(keys) if tag in table and tag not in joined
    )


def _key_matches(keys: Dataset, item: Dataset, tag: int, key: Key, model: Model) -> bool:
    """Match any value asked with any value known; an empty one among several takes every value, as in DCMTK."""
    if key.matching is Matching.RETURN_ONLY:
        return True
    if key.matching is Matching.SEQUENCE:
        return _sequence_matches(keys, item, tag, key, model)
    asked = _texts(keys, tag)
    if _is_universal(asked, key):
        return True
    vr = dictionary_VR(tag)
    known = _texts(item, tag)
    gap = key.matching is not Matching.UID_LIST and len(asked) < len(_values(keys, tag)[1])
    return any(
        gap or _value_matches(one, it, vr, key.matching, folds=model.folds_names) for one in asked for it in known
    )


def _is_universal(asked: list[str], key: Key) -> bool:
    """Say whether a key asks for nothing: zero length or a lone `*` (C.2.2.2.3, C.2.2.2.4).

    The lone `*` counts for single values too, as in DCMTK and by the note of K.2.2.1.1.1; beside other characters it is
    literal there.
    """
    return not asked or (key.matching is not Matching.RANGE and not any(one.strip("*") for one in asked))


def _sequence_matches(keys: Dataset, item: Dataset, tag: int, key: Key, model: Model) -> bool:
    """Match the one item of a sequence key against any item known (C.2.2.2.6)."""
    asked = _items(keys, tag)
    if not asked or _asks_nothing(asked[0], key.items):
        return True
    return any(_all_match(asked[0], known, key.items, model) for known in _items(item, tag) or ())


def _asks_nothing(keys: Dataset, table: Table) -> bool:
    for tag, key in ((tag, table[tag]) for tag in _tags(keys) if tag in table):
        if key.matching is Matching.SEQUENCE:
            nested = _items(keys, tag)
            if nested and not _asks_nothing(nested[0], key.items):
                return False
        elif key.matching is not Matching.RETURN_ONLY and not _is_universal(_texts(keys, tag), key):
            return False
    return True


def _answered(keys: Dataset, item: Dataset, table: Table, model: Model) -> Dataset:
    out = Dataset()
    for tag in _tags(keys):
        if tag.is_private or tag.element == 0 or tag == SPECIFIC_CHARACTER_SET:
            continue
        if tag == QUERY_RETRIEVE_LEVEL:
            out.QueryRetrieveLevel = level_of(keys)
        elif _is_sequence(keys, tag):
            out[tag] = DataElement(tag, "SQ", _answered_items(keys, item, tag, table.get(tag), model))
        else:
            out[tag] = _known(item, tag) or DataElement(tag, _vr_of_key(keys, tag), None)
    return out


def _answered_items(keys: Dataset, item: Dataset, tag: int, key: Key | None, model: Model) -> list[Dataset]:
    """Return the items of a sequence: whole ones for an empty key, else those matching, cut down to what was asked."""
    known = _items(item, tag) or []
    asked = next(iter(_items(keys, tag) or ()), None)
    if not asked:
        return [deepcopy(one) for one in known]
    table = key.items if key else {}
    return [_answered(asked, one, table, model) for one in known if _all_match(asked, one, table, model)]


def _is_sequence(keys: Dataset, tag: BaseTag) -> bool:
    return _vr_of_key(keys, tag) == "SQ"


def _vr_of_key(keys: Dataset, tag: BaseTag) -> str:
    try:
        return dictionary_VR(tag).split(" or ")[0]
    except KeyError:
        return _vr(keys.get_item(tag))


def _known(item: Dataset, tag: BaseTag) -> DataElement | None:
    try:
        return deepcopy(item[tag]) if item.get_item(tag) is not None else None
    except UNREADABLE:
        return None


# Keys one by one, for a table whose columns hold text.


@dataclass(frozen=True, slots=True)
class Wish:
    """One key of a query that decides: its attribute, its type of matching, and the values it asks for.

    `anything`: an empty one was among several, which takes every value.
    """

    tag: int
    vr: str
    matching: Matching
    asked: tuple[str, ...]
    folds: bool
    anything: bool

    def test(self) -> Callable[[str], bool]:
        """Return what says whether a known text, its values parted by backslashes, answers this key as `match` does."""
        ways = [bool] if self.anything else [self._way(one) for one in self.asked]

        def holds(known: str) -> bool:
            if "\\" in known:
                return any(map(holds, known.split("\\")))
            value = _trimmed(known, self.vr)
            return bool(value) and any(way(value) for way in ways)

        return holds

    def _way(self, asked: str) -> Callable[[str], bool]:
        if self.matching is Matching.RANGE and self.vr == "DA":
            dates = as_range(asked, as_date)
            return lambda known: dates is not None and dates.holds(known_date(known))
        if self.matching is Matching.WILDCARD:
            names = self.folds and self.vr == "PN"
            pattern = _pattern(folded_name(asked) if names else asked)
            return (lambda known: any(map(pattern, _names(known)))) if names else pattern
        return lambda known: _value_matches(asked, known, self.vr, self.matching, folds=self.folds)


def _pattern(asked: str) -> Callable[[str], bool]:
    """Return what `wildcard_matches` says of a pattern; most of them are a beginning."""
    if asked.endswith("*") and not re.search(r"[*?]", asked[:-1]):
        return lambda known: known.startswith(asked[:-1])
    return lambda known: wildcard_matches(asked, known)


def wishes(keys: Dataset, model: Model) -> Iterator[Wish]:
    """Yield the keys that decide; those of sequences and those that ask for nothing do not."""
    table = model.table(level_of(keys))
    for tag, key in ((tag, table[tag]) for tag in _tags(keys) if tag in table):
        if key.matching in {Matching.RETURN_ONLY, Matching.SEQUENCE}:
            continue
        asked = _texts(keys, tag)
        if not _is_universal(asked, key):
            gap = key.matching is not Matching.UID_LIST and len(asked) < len(_values(keys, tag)[1])
            yield Wish(int(tag), dictionary_VR(tag), key.matching, tuple(asked), model.folds_names, gap)


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and a time of a query that are asked for as one: their attributes, and the moments they take in."""

    date_tag: int
    time_tag: int
    taken: Range[datetime]

    def holds(self, day: str, hour: str) -> bool:
        """Say whether a known date and time lie inside."""
        known = known_date(_trimmed(day, "DA")), known_time(_trimmed(hour, "TM"))
        return known[0] is not None and known[1] is not None and self.taken.holds(datetime.combine(known[0], known[1]))


def moments(keys: Dataset, model: Model) -> list[Moment]:
    """Return the dates and times of a query whose ranges are one, where the model matches them so (PS3.4 C.2.2.2.5)."""
    found, table = [], model.table(level_of(keys))
    for date_tag, time_tag in model.moments:
        asked = _texts(keys, date_tag), _texts(keys, time_tag)
        if date_tag in table and [len(one) for one in asked] == [1, 1]:
            dates, times = as_range(asked[0][0], as_date), as_range(asked[1][0], as_time)
            taken = as_one(dates, times) if dates and times else None
            found += [Moment(date_tag, time_tag, taken)] if taken else []
    return found


def without_times(keys: Dataset, asked: Iterable[Moment]) -> Dataset:
    """Return a query that asks for the dates of some moments and for any time of them."""
    rest = deepcopy(keys)
    for moment in asked:
        rest.add_new(moment.time_tag, "TM", "")
    return rest


# What is wrong with a query, and what a database can make of it.


def problems(keys: Dataset, model: Model) -> list[str]:
    """Say what is malformed in a query, one sentence a key and without its value; empty when it can be answered."""
    return [*_level_problems(keys, model), *_key_problems(keys, model.table(level_of(keys)))]


def _level_problems(keys: Dataset, model: Model) -> Iterator[str]:
    if not model.has_levels:
        return
    level = level_of(keys)
    if level not in model.levels:
        yield f"{_called(QUERY_RETRIEVE_LEVEL)} must be one of {', '.join(model.levels)}"
        return
    for above in LEVELS[: LEVELS.index(level)]:
        tag = tag_for_keyword(UNIQUE_KEYS[above])
        if above in model.levels and tag is not None and len(_texts(keys, tag)) > 1 and above == "PATIENT":
            yield f"{_called(tag)} takes one value above the level of the query"


def _key_problems(keys: Dataset, table: Table) -> Iterator[str]:
    for tag, key in ((tag, table[tag]) for tag in _tags(keys) if tag in table):
        if key.matching is Matching.RANGE:
            if not all(is_range(text, dictionary_VR(tag)) for text in _texts(keys, tag)):
                yield f"{_called(tag)} is neither a value nor a range of its value representation"
        elif key.matching is Matching.SEQUENCE:
            yield from _sequence_problems(keys, tag, key)


def _sequence_problems(keys: Dataset, tag: int, key: Key) -> Iterator[str]:
    asked = _items(keys, tag)
    if asked is None:
        yield f"{_called(tag)} is not a sequence"
        return
    if len(asked) > 1:
        yield f"{_called(tag)} takes one item in a query"
    for one in asked[:1]:
        yield from _key_problems(one, key.items)


def _called(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {dictionary_description(tag)}"


@dataclass(frozen=True)
class Criteria:
    """What a database may filter by before `match` decides; each is a necessary condition, None or empty asks nothing.

    `first_date` and `last_date` bound the scheduled start of a step in a worklist query, else the study date.
    `name_prefix` is what the name starts with, as written; compare it folded, then `match` minds the case.
    """

    patient_id: str | None = None
    accession: str | None = None
    station_aet: str | None = None
    modality: str | None = None
    name_prefix: str | None = None
    first_date: date | None = None
    last_date: date | None = None
    study_uids: tuple[str, ...] = ()
    series_uids: tuple[str, ...] = ()
    instance_uids: tuple[str, ...] = ()


def as_criteria(keys: Dataset, model: Model) -> Criteria:
    """Return the parts of a query that a database can use to cut down the candidates."""
    table = model.table(level_of(keys))
    step_tag = _tag("ScheduledProcedureStepSequence")
    step = (next(iter(_items(keys, step_tag) or ()), Dataset())) if step_tag in table else Dataset()
    step_table = table[step_tag].items if step_tag in table else {}
    dates = _dates(step, "ScheduledProcedureStepStartDate", step_table) or _dates(keys, "StudyDate", table)
    return Criteria(
        patient_id=_literal(keys, "PatientID", table),
        accession=_literal(keys, "AccessionNumber", table),
        station_aet=_literal(step, "ScheduledStationAETitle", step_table),
        modality=_literal(step, "Modality", step_table) or _literal(keys, "Modality", table),
        name_prefix=_prefix(keys, "PatientName", table),
        first_date=dates.first if dates else None,
        last_date=dates.last if dates else None,
        study_uids=_uids(keys, "StudyInstanceUID", table),
        series_uids=_uids(keys, "SeriesInstanceUID", table),
        instance_uids=_uids(keys, "SOPInstanceUID", table),
    )


def _tag(keyword: str) -> int:
    return tag_for_keyword(keyword) or 0


def _literal(keys: Dataset, keyword: str, table: Table) -> str | None:
    tag = _tag(keyword)
    asked = _texts(keys, tag)
    if tag not in table or len(asked) != 1 or _is_universal(asked, table[tag]):
        return None
    wild = table[tag].matching is Matching.WILDCARD and re.search(r"[*?]", asked[0])
    return None if wild else asked[0]


def _prefix(keys: Dataset, keyword: str, table: Table) -> str | None:
    tag = _tag(keyword)
    asked = _texts(keys, tag)
    return (re.split(r"[*?]", asked[0])[0] or None) if tag in table and len(asked) == 1 else None


def _dates(keys: Dataset, keyword: str, table: Table) -> Range[date] | None:
    tag = _tag(keyword)
    asked = _texts(keys, tag)
    return as_range(asked[0], as_date) if tag in table and len(asked) == 1 else None


def _uids(keys: Dataset, keyword: str, table: Table) -> tuple[str, ...]:
    tag = _tag(keyword)
    asked = _texts(keys, tag)
    return tuple(asked) if tag in table and not _is_universal(asked, table[tag]) else ()
