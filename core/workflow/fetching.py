"""Ask another archive what it has, and have it sent here.

What comes arrives at our own listener like anything a camera sends: kept, filed, acknowledged. A job asks study by
study (or series by series) and writes down each that has come, so that whatever breaks off goes on where it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydicom import Dataset, config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from sqlmodel import col, func, select

from core import access, audit, wire
from core.access import Actor
from core.dicom.conformance import STORAGE_CLASSES
from core.dicom.information_models import STUDY_ROOT
from core.errors import Invalid, NotFound, PeerFailed, Refused
from core.model import Image, Series, Study
from core.records import Records, Work
from core.scu import getting
from core.scu.peer import Peer
from core.vocabulary import Operation
from core.workflow import devices, queue
from core.workflow.queue import Ticket
from core.workflow.reception import Reception

KIND = "fetch"
ATTEMPTS = 24
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_SHOWN = {
    "STUDY": ("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "PatientID", "PatientName",
              "PatientBirthDate", "PatientSex", "ModalitiesInStudy", "StudyDescription",
              "NumberOfStudyRelatedInstances"),
    "SERIES": ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription",
               "NumberOfSeriesRelatedInstances"),
    "IMAGE": ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "InstanceNumber"),
}  # fmt: skip
_UNIQUE = {"SERIES": ("StudyInstanceUID", "SeriesInstanceUID"), "STUDY": ("StudyInstanceUID",)}


# -- questions -------------------------------------------------------------------------------------------------------


def questions(query: Sequence[str]) -> list[dict[str, str]]:
    """Turn a query into the keys to ask with, one set after the other until something answers.

    A word is tried as a Study Instance UID, an accession number and a patient number; KEY=VALUE words go together.
    """
    if not query:
        raise Invalid("say what to look for: an accession, a patient number, a Study UID, or KEY=VALUE")
    if any("=" in word for word in query):
        return [dict(_pair(word) for word in query)]
    if len(query) > 1:
        raise Invalid("one word at a time, or KEY=VALUE words, which go together")
    if _UID.fullmatch(query[0]):
        return [{"StudyInstanceUID": query[0]}]
    return [{"AccessionNumber": query[0]}, {"PatientID": query[0]}]


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not tag_for_keyword(key):
        raise Invalid(f"'{key}' is no DICOM keyword: write KEY=VALUE, such as PatientID=P1 or StudyDate=20260301-")
    return key, value


def _level(keys: dict[str, str]) -> str:
    if "SOPInstanceUID" in keys:
        return "IMAGE"
    return "SERIES" if keys.keys() & {"SeriesInstanceUID", "Modality", "SeriesDescription"} else "STUDY"


def _identifier(keys: dict[str, str], level: str) -> Dataset:
    out = Dataset()
    given: dict[str, str] = dict.fromkeys(_SHOWN[level], "") | keys
    if not all(value.isascii() for value in keys.values()):
        given["SpecificCharacterSet"] = "ISO_IR 192"
    for keyword, value in {**given, "QueryRetrieveLevel": level}.items():
        tag = tag_for_keyword(keyword) or 0
        out[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=config.IGNORE)
    return out


def query(actor: Actor, peer: Peer, words: Sequence[str]) -> list[dict[str, str]]:
    """Ask a node what answers to a query; each answer by its keywords (C-FIND, Study Root)."""
    access.require(actor, Operation.VIEW_IMAGES)
    for keys in questions(words):
        level = _level(keys)
        found = [_facts(answer) for answer in peer.find(STUDY_ROOT, _identifier(keys, level))]
        if found:
            return found
    return []


def _facts(answer: Dataset) -> dict[str, str]:
    said = ((keyword_for_tag(element.tag), element) for element in answer)
    return {keyword: _text(element) for keyword, element in said if keyword and element.VR != "SQ"}


def _text(element: Any) -> str:  # noqa: ANN401 - a data element
    return str(element.value) if element.VM < 2 else "\\".join(map(str, element.value))  # noqa: PLR2004 - several


# -- fetching --------------------------------------------------------------------------------------------------------


def enqueue(work: Work, actor: Actor, aet: str, words: Sequence[str], *, get: bool = False) -> wire.Job:
    """Queue that a known node sends us what answers to a query: to our listener, or by `get` on our own call."""
    access.require(actor, Operation.VIEW_IMAGES)
    device = devices.named(work, aet)
    questions(words)
    payload: dict[str, object] = {"aet": device.aet, "query": list(words), "get": get}
    lane = lane_of(device.aet)
    job = work.enqueue(actor.site, KIND, payload, lane=lane, asked_by=str(actor), attempts=ATTEMPTS)
    audit.record(work, actor, "images.fetch", device.aet, job=job.id)
    return queue.shape(job)


def lane_of(aet: str) -> str:
    """Name the lane of a node: what comes from it comes one after the other."""
    return f"fetch:{aet}"


@dataclass(frozen=True)
class Fetcher:
    """Runs the jobs that fetch. `call` gives the peer of a device, `aet` is the title we listen under."""

    records: Records
    call: Callable[[wire.Device], Peer]
    aet: str
    reception: Reception

    def run(self, ticket: Ticket) -> None:
        """Find what is asked for and have it sent, one study or series after the other.

        Raises
        ------
        PeerFailed
            The node cannot be reached, or did not send everything: the rest is asked for at the next attempt.
        Refused
            It has nothing of the kind, or sent it elsewhere.
        """
        with self.records.reading() as work:
            peer = self.call(devices.shape(devices.named(work, str(ticket.payload["aet"]))))
        wanted = self._wanted(peer, ticket.payload["query"])
        fetched: list[list[str]] = ticket.result.setdefault("fetched", [])
        for one in wanted:
            if ticket.cancelled():
                return
            if list(one) not in fetched:
                ticket.result["objects"] = ticket.result.get("objects", 0) + self._fetch(peer, one, ticket)
                fetched.append(list(one))
            ticket.progress(len(fetched), len(wanted))

    def _wanted(self, peer: Peer, words: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the unique keys of what answers, at the level the query asks at."""
        for keys in questions(words):
            level = "SERIES" if _level(keys) != "STUDY" else "STUDY"
            if "SOPInstanceUID" in keys:
                raise Refused("objects are fetched by study or series: leave SOPInstanceUID out")
            answers = [_facts(answer) for answer in peer.find(STUDY_ROOT, _identifier(keys, level))]
            found = [tuple(facts.get(key, "") for key in _UNIQUE[level]) for facts in answers]
            if found:
                return list(dict.fromkeys(one for one in found if all(one)))
        raise NotFound(f"{peer.aet} has nothing that answers to the query")

    def _fetch(self, peer: Peer, one: tuple[str, ...], ticket: Ticket) -> int:
        level = "SERIES" if len(one) > 1 else "STUDY"
        keys = _identifier(dict(zip(_UNIQUE[level], one, strict=True)), level)
        for element in [element for element in keys if element.is_empty]:
            del keys[element.tag]
        if ticket.payload.get("get"):
            actor = access.device(peer.aet, ticket.site)
            moved = getting.get(peer, keys, self._kinds(peer, one), partial(_Taking, self.reception, actor))
        else:
            moved = peer.move(keys, self.aet)
        if moved.failed:
            raise PeerFailed(
                f"{peer.aet} could not send {moved.failed} of {moved.failed + moved.completed} objects here"
            )
        if moved.completed + moved.warned and not self._have(one):
            msg = f"{peer.aet} sent {self.aet} what was asked for, but it did not come here: look at its address for us"
            raise Refused(msg)
        return moved.completed + moved.warned

    def _kinds(self, peer: Peer, one: tuple[str, ...]) -> list[str]:
        """Ask of which SOP classes a study or series is: an association has no room for all there are."""
        keys = dict(zip(_UNIQUE["SERIES"], one, strict=False))
        answers = peer.find(STUDY_ROOT, _identifier(keys, "IMAGE"))
        kinds = dict.fromkeys(str(answer.get("SOPClassUID") or "") for answer in answers)
        return [kind for kind in kinds if kind] or [each.uid for each in STORAGE_CLASSES if not each.retired]

    def _have(self, one: tuple[str, ...]) -> int:
        with self.records.reading() as work:
            held = select(func.count()).select_from(Image).join(Series, col(Series.id) == Image.series_id)
            held = held.join(Study, col(Study.id) == Series.study_id).where(Study.uid == one[0])
            if len(one) > 1:
                held = held.where(Series.uid == one[1])
            return work.session.exec(held).one()


class _Taking:
    """An object that comes on our own call: kept like any that comes to the listener."""

    def __init__(self, reception: Reception, actor: Actor, announced: tuple[str, str, str]) -> None:
        self._reception, self._actor = reception, actor
        self._arriving = reception.incoming(announced, actor.name)

    def write(self, piece: memoryview) -> None:
        self._arriving.write(piece)

    def finish(self) -> int:
        return self._reception.take(self._actor, self._arriving.finish()).status

    def abandon(self) -> None:
        self._arriving.abandon()
