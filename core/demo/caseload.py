"""Carry cases through the department, one act at a time, each by the one whose act it is.

The same acts fill the morning, play the day, and keep the screens alive: only the pace differs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydicom import Dataset

from core.demo.camera import SimulatedCamera, other_content
from core.demo.cases import Case, Ending, Mistake, Stage
from core.demo.colleague import Colleague
from core.demo.department import Department
from core.demo.tally import Tally
from core.dicom.compose import Ordered
from core.errors import Refused
from core.naming import build_name

_ANSWERS = {"fasting": "yes", "consent": "signed", "drugs_stopped": "yes", "glucose": "5.8 mmol/l"}
_PATIENT_ABROAD = "X88120"  # a number this hospital never gave out
_WITH_PARTS = {"BONE-3P": 3, "PARATHYROID": 2}  # acquisitions that each belong to a step of their own


@dataclass
class CaseFile:
    """One case under way: the numbers it was given, how far it came, what was sent for it."""

    case: Case
    stage: Stage = Stage.NOTHING
    accession: str = ""
    number: str = ""
    doctor: str = ""
    fence: int | None = None
    sent: list[Dataset] = field(default_factory=list)
    since: datetime | None = None


class Caseload:
    """The department's acts upon its cases."""

    def __init__(self, department: Department, tally: Tally) -> None:
        self.department, self.tally = department, tally
        self.clock = department.clock
        self.files: list[CaseFile] = []
        self._acts: dict[Stage, Callable[[CaseFile], None]] = {
            Stage.BOOKED: self._book,
            Stage.ARRIVED: self._arrive,
            Stage.TRIAGED: self._triage,
            Stage.PROTOCOLLED: self._protocol,
            Stage.CHECKED: self._check,
            Stage.INJECTED: self._inject,
            Stage.ON_CAMERA: self._begin_imaging,
            Stage.IMAGED: self._image,
            Stage.DRAFTED: self._draft,
            Stage.PRELIMINARY: self._hand_in,
            Stage.SIGNED: self._sign,
            Stage.AMENDED: self._amend,
        }

    def who(self, name: str) -> Colleague:
        """Return a colleague by user name."""
        return self.department.colleagues[name]

    def doctor_of(self, file: CaseFile) -> Colleague:
        """Return the doctor a case is assigned to."""
        file.doctor = file.doctor or self.exam(file)["assigned_to"] or ""
        return self.who(file.doctor or "doctor")

    def camera_of(self, file: CaseFile) -> SimulatedCamera:
        """Return the camera a case is for."""
        return self.department.cameras[file.case.device]

    def exam(self, file: CaseFile) -> dict[str, Any]:
        """Return the exam as it stands."""
        exam: dict[str, Any] = self.who("tech").ask(f"exams/{file.accession}")
        return exam

    def open_file(self, case: Case) -> CaseFile:
        """Take up a case."""
        file = CaseFile(case)
        self.files.append(file)
        return file

    def step(self, file: CaseFile) -> None:
        """Do the next act of a case."""
        to = Stage(file.stage + 1)
        self._acts[to](file)
        file.stage, file.since = to, self.clock()

    def carry(self, file: CaseFile, to: Stage) -> None:
        """Carry a case as far as `to`."""
        while file.stage < to:
            self.step(file)

    # -- from the desk to the camera ---------------------------------------------------------------------------------

    def _book(self, file: CaseFile) -> None:
        case, clerk = file.case, self.who("clerk")
        soon = (self.clock() + timedelta(minutes=40)).isoformat()
        exam = {"procedure": case.procedure, "charge": "paid", "booked_at": soon, "arrived": False} | case.exam
        known = self.tally.number_of(case.person)
        if known:
            made = clerk.do("exams", patient=known, **exam)
        else:
            person = case.person
            patient = {
                "name": person.name, "sex": person.sex, "birth_date": person.born.isoformat(), "phone": person.phone,
                "accept_similar": True,
            }  # fmt: skip
            made = clerk.do("registrations", patient=patient | case.patient, exam=exam)
            self.tally.registered(person, made["patient_number"])
        file.accession, file.number = made["accession"], made["patient_number"]
        self.tally.exams += 1

    def _arrive(self, file: CaseFile) -> None:
        self.who("nurse").do(f"exams/{file.accession}/arrive")

    def _triage(self, file: CaseFile) -> None:
        if file.case.exam.get("urgency") == "urgent":
            self.who("nurse").do(f"exams/{file.accession}/triage", urgency="urgent")
        file.doctor = self.who("nurse").do(f"exams/{file.accession}/assign")["assigned_to"]

    def _protocol(self, file: CaseFile) -> None:
        doctor = self.doctor_of(file)
        doctor.do(f"exams/{file.accession}/protocol", device=file.case.device, plan="standard protocol")

    def _check(self, file: CaseFile) -> None:
        for check in self.exam(file)["checks"]:
            if not check["answer"]:
                answer = _ANSWERS.get(check["name"], "no")
                self.who("nurse").do(f"exams/{file.accession}/check", name=check["name"], answer=answer)

    def _inject(self, file: CaseFile) -> None:
        exam, technologist = self.exam(file), self.who("tech")
        usual = self.tally.usual_mbq[file.case.procedure]
        said = [exam["patient_number"], exam["patient_birth_date"] or exam["accession"]]
        technologist.do(f"exams/{file.accession}/dose/inject", mbq=round(usual * 1.04, 2), confirm=said)
        technologist.do(f"exams/{file.accession}/dose/residual", mbq=round(usual * 0.03, 2))

    # -- at the camera -----------------------------------------------------------------------------------------------

    def _begin_imaging(self, file: CaseFile) -> None:
        """Do the first step of an exam of several; of others, only the start."""
        if file.case.procedure in _WITH_PARTS:
            self._do_step(file, 0)
        elif not self.camera_of(file).profile.reports_steps:
            self.who("tech").do(f"exams/{file.accession}/start")

    def _image(self, file: CaseFile) -> None:
        """Do what is left to do at the camera, rightly or with the case's mistake."""
        if file.case.procedure in _WITH_PARTS:
            for part in range(1, _WITH_PARTS[file.case.procedure]):
                self._do_step(file, part)
        elif self.camera_of(file).profile.reports_steps:
            self._by_a_reporting_camera(file)
        else:
            self._send(file, self._made(file))
            self.who("tech").do(f"exams/{file.accession}/finish")

    def acquire(self, file: CaseFile) -> None:
        """Send what a camera made of a step that somebody else has started."""
        self._send(file, self._made(file))

    def _do_step(self, file: CaseFile, part: int) -> None:
        """Do one of several steps: start, images of this part, finish."""
        technologist = self.who("tech")
        technologist.do(f"exams/{file.accession}/start")
        items = self._items(file)
        ordered = Ordered.from_worklist(items[0])
        self._send(file, self.camera_of(file).acquire(file.case.procedure, ordered, part=part))
        technologist.do(f"exams/{file.accession}/finish")

    def _by_a_reporting_camera(self, file: CaseFile) -> None:
        """Let the camera itself say when it began and ended; nobody presses start."""
        camera, item = self.camera_of(file), self._items(file)[0]
        performed = camera.begin(item)
        objects = self._made(file, item)
        self._send(file, objects)
        camera.end(performed, objects)
        self.tally.steps_reported += 1

    def _items(self, file: CaseFile) -> list[Dataset]:
        """Find the case on the camera's worklist.

        Raises
        ------
        Refused
            When it is not there: then the day cannot go on.
        """
        items = self.camera_of(file).worklist(file.accession)
        if not items:
            raise Refused(f"{file.accession} is not on the worklist of {file.case.device}")
        return sorted(items, key=lambda item: str(item.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID))

    def _made(self, file: CaseFile, item: Dataset | None = None) -> list[Dataset]:
        """Acquire as the worklist says, or as it went wrong."""
        camera, mistake, procedure = self.camera_of(file), file.case.mistake, file.case.procedure
        ordered = Ordered.from_worklist(item or self._items(file)[0])
        typed = replace(ordered, study_instance_uid="", step_id="", requested_procedure_id="")  # without the worklist
        if mistake is Mistake.ACCESSION_TYPED_WRONG:
            ordered = replace(typed, accession=_slipped(ordered.accession))
        elif mistake is Mistake.NUMBER_TYPED_WRONG:
            ordered = replace(typed, patient_id=_PATIENT_ABROAD)
        elif mistake is Mistake.NUMBER_OF_ANOTHER:
            ordered = replace(typed, patient_id=self.tally.somebody_but(file.number))
        elif mistake is Mistake.ANOTHER_ENTRY:
            ordered = Ordered.from_worklist(self._another_entry())
        elif mistake is Mistake.NAME_IN_PINYIN:
            pinyin = str(build_name(file.case.person.name).alphabetic).replace("^", " ")
            ordered = replace(typed, patient_name=pinyin)
        elif mistake is Mistake.VIEW_LOST:
            return camera.acquire_incompletely(procedure, ordered)
        return camera.acquire(procedure, ordered)

    def _another_entry(self) -> Dataset:
        """Return the worklist entry of another patient, one that was never imaged."""
        wrong = next(one for one in self.files if one.case.mistake is Mistake.ENTRY_TAKEN)
        return self._items(wrong)[0]

    def _send(self, file: CaseFile, objects: list[Dataset]) -> None:
        camera, mistake = self.camera_of(file), file.case.mistake
        self.tally.note(camera.send(objects), objects, mistake)
        file.sent += objects
        if mistake is Mistake.SENT_TWICE:
            self.tally.again(camera.send(objects))
        if mistake is Mistake.UID_USED_TWICE:
            self.tally.kept_apart(camera.send([other_content(objects[0])]))

    def send_late(self, file: CaseFile) -> None:
        """Send one more view after the report was signed."""
        camera = self.camera_of(file)
        first = file.sent[0]
        ordered = Ordered(
            patient_id=str(first.PatientID), patient_name=str(first.PatientName), sex=str(first.PatientSex),
            birth_date=str(first.PatientBirthDate), accession=str(first.AccessionNumber),
            study_instance_uid=str(first.StudyInstanceUID),
        )  # fmt: skip
        late = camera.acquire(file.case.procedure, ordered, part=0)
        self.tally.note(camera.send(late), late, None)
        file.sent += late

    # -- reading -----------------------------------------------------------------------------------------------------

    def _draft(self, file: CaseFile) -> None:
        doctor = self.doctor_of(file)
        opened = doctor.do(f"exams/{file.accession}/report/open")
        text = {
            "findings": "Made-up findings of a made-up patient: the tracer is spread as the phantom has it.",
            "impression": "Nothing that the phantom does not contain.",
        }
        doctor.put(f"exams/{file.accession}/report/draft", fence=opened["fence"], text=text)
        file.fence = opened["fence"]

    def _hand_in(self, file: CaseFile) -> None:
        doctor = self.doctor_of(file)
        fence = file.fence or doctor.do(f"exams/{file.accession}/report/open")["fence"]
        file.fence = None
        doctor.do(f"exams/{file.accession}/report/preliminary", fence=fence)

    def _sign(self, file: CaseFile) -> None:
        reviewer = self.who("head") if self.doctor_of(file).username == "doctor2" else self.doctor_of(file)
        opened = reviewer.do(f"exams/{file.accession}/report/open")
        reviewer.do(f"exams/{file.accession}/report/sign", fence=opened["fence"], password=reviewer.password)
        self.tally.signed += 1

    def _amend(self, file: CaseFile) -> None:
        doctor = self.doctor_of(file)
        opened = doctor.do(f"exams/{file.accession}/report/amend", reason="an earlier scan was found")
        text = {"impression": "As before; compared with the earlier scan there is no change."}
        doctor.put(f"exams/{file.accession}/report/draft", fence=opened["fence"], text=text)
        doctor.do(f"exams/{file.accession}/report/sign", fence=opened["fence"], password=doctor.password)
        self.tally.amended += 1

    # -- the side exits ----------------------------------------------------------------------------------------------

    def end_otherwise(self, file: CaseFile) -> None:
        """Take a case out by its side exit."""
        if file.case.ending is Ending.CANCELLED:
            self.who("clerk").do(f"exams/{file.accession}/cancel", reason="the referrer withdrew the request")
        elif file.case.ending is Ending.NOT_DONE:
            self.who("tech").do(f"exams/{file.accession}/not_done", reason="the patient could not lie still")


def _slipped(number: str) -> str:
    """Return the number with two neighbouring digits swapped, or one changed where that would be the same."""
    swapped = f"{number[:-3]}{number[-2]}{number[-3]}{number[-1]}"
    return swapped if swapped != number else f"{number[:-2]}{(int(number[-2]) + 1) % 10}{number[-1]}"
