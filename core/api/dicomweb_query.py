"""A search as a URL writes it, turned into the keys of a query (PS3.18 8.3.4)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom import DataElement, Dataset, config
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword

from core.dicom.information_models import STUDY_ROOT
from core.errors import Invalid
from core.workflow.dicomweb import Place

MOST_ANSWERS = 5000
USUAL_ANSWERS = 1000
_LARGEST_OFFSET = 10**9
_LONGEST_VALUE = 4096
_OURS = {"limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching", "multiplevaluematching", "accept"}

_STUDY = (
    *("StudyDate", "StudyTime", "AccessionNumber", "InstanceAvailability", "ModalitiesInStudy", "StudyDescription"),
    *("ReferringPhysicianName", "TimezoneOffsetFromUTC", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyID", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
)
_SERIES = (
    *("Modality", "SeriesDate", "SeriesTime", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber"),
    *("BodyPartExamined", "NumberOfSeriesRelatedInstances"),
)
_IMAGE = (
    *("SOPClassUID", "SOPInstanceUID", "InstanceAvailability", "InstanceNumber"),
    *("Rows", "Columns", "BitsAllocated", "NumberOfFrames"),
)
_ANSWERED = {"STUDY": _STUDY, "SERIES": _SERIES, "IMAGE": _IMAGE}
"""What each level answers unasked (PS3.18 Tables 10.6.3-3 to 10.6.3-5), and its description."""
_ABOVE = {"STUDY": (), "SERIES": ("StudyInstanceUID",), "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID")}
LEVELS = ("STUDY", "SERIES", "IMAGE")


@dataclass
class Search:
    """The keys of a search, those it decides by, which of its answers are wanted, and what could not be minded."""

    keys: Dataset
    offset: int = 0
    limit: int = USUAL_ANSWERS
    asked: list[int] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def search_of(parameters: Iterable[tuple[str, str]], level: str, place: Place) -> Search:
    """Read the parameters of a search at a level, below a study or series where the URL names one.

    Raises
    ------
    Invalid
        A name is no attribute, or a number none.
    """
    search = Search(_usual_keys(level, place))
    for name, value in parameters:
        if name in _OURS:
            _put_option(search, name, value, level)
        else:
            _put_key(search, name, value)
    for keyword, uid in (("StudyInstanceUID", place.study), ("SeriesInstanceUID", place.series)):
        if uid:
            _put(search.keys, keyword, uid)
    return search


def _usual_keys(level: str, place: Place) -> Dataset:
    keys = Dataset()
    levels = LEVELS[: LEVELS.index(level) + 1]
    named = (bool(place.study), bool(place.series), False)
    for each in (one for one, is_named in zip(levels, named, strict=False) if not is_named):
        for keyword in _ANSWERED[each]:
            _put(keys, keyword, "")
    for keyword in _ABOVE[level]:
        _put(keys, keyword, "")
    keys.QueryRetrieveLevel = level
    keys.SpecificCharacterSet = "ISO_IR 192"
    return keys


def _put_option(search: Search, name: str, value: str, level: str) -> None:
    if name == "limit":
        search.limit = min(_whole(name, value), MOST_ANSWERS)
    elif name == "offset":
        search.offset = min(_whole(name, value), _LARGEST_OFFSET)
    elif name == "includefield":
        for one in value.split(","):
            _include(search, one.strip(), level)
    elif name != "accept" and value.lower() == "true":
        search.warnings.append(f"{name} is not supported: values were matched literally")


def _whole(name: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", value):
        raise Invalid(f"{name} must be a whole number, not '{value[:40]}'")
    return int(value)


def _include(search: Search, name: str, level: str) -> None:
    tags = STUDY_ROOT.table(level) if name.lower() == "all" else [_tags(name)[0]]
    for tag in tags:
        if tag not in search.keys:
            _put(search.keys, tag, "")


def _put_key(search: Search, name: str, value: str) -> None:
    tags = _tags(name)
    if len(tags) > 1 or dictionary_VR(tags[0]) == "SQ":
        search.warnings.append(f"{name} is not searched by: it was left aside")
        return
    if len(value) > _LONGEST_VALUE and dictionary_VR(tags[0]) != "UI":
        raise Invalid(f"the value of {keyword_for_tag(tags[0])} is too long")
    _put(search.keys, tags[0], value)
    search.asked.append(tags[0])


def _tags(name: str) -> list[int]:
    """Read an attribute's name: keywords or eight hexadecimal digits, those of nested items after dots."""
    parts = name.split(".")
    tags = [int(one, 16) if re.fullmatch(r"[0-9A-Fa-f]{8}", one) else tag_for_keyword(one) for one in parts]
    if not all(tag is not None and dictionary_has_tag(tag) for tag in tags):
        raise Invalid(f"'{name[:80]}' is no attribute of DICOM: write its keyword or tag, as PatientID or 00100020")
    return [tag for tag in tags if tag is not None]


def _put(keys: Dataset, name: str | int, value: str) -> None:
    """Set a key without judging it: wildcards and ranges break its value representation."""
    tag = (tag_for_keyword(name) or 0) if isinstance(name, str) else name
    vr = dictionary_VR(tag).split(" or ")[0]
    if vr == "SQ":
        keys[tag] = DataElement(tag, "SQ", [])
        return
    values = [one for one in re.split(r"[,\\]", value) if one] if vr == "UI" else value.split("\\")
    written = values if len(values) > 1 else (values[0] if values else None)
    try:
        keys[tag] = DataElement(tag, vr, written or None, validation_mode=config.IGNORE)
    except (ValueError, TypeError, OverflowError) as error:
        raise Invalid(f"the value of {keyword_for_tag(tag)} is no {vr}") from error
