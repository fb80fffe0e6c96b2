"""The made-up day: years before it, its morning, and, when it is played, the rest of it up to the signed reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from core.demo.caseload import CaseFile, Caseload
from core.demo.cases import DAY, PAST, Mistake, Stage
from core.demo.department import Department
from core.demo.tally import Fate, Tally
from core.dicom.compose import Ordered
from core.errors import Refused

Say = Callable[[str, int, int], None]
_MORNING = timedelta(hours=5)
_LEAST = timedelta(minutes=1)
_STRANGER = Ordered(
    patient_id="ZY77120", patient_name="Zhou^Jianping=周^建平", birth_date="19590817", sex="M", accession="",
    procedure_description="Thyroid",
)  # fmt: skip


class Day:
    """One made-up day in a department."""

    def __init__(self, department: Department, say: Say = lambda *_: None) -> None:
        self.department, self.tally, self._say = department, Tally(), say
        self.cases = Caseload(department, self.tally)
        self.today: list[CaseFile] = []

    # -- before the doors open ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the past and the morning, and arrive at the present moment."""
        now = datetime.now(UTC)
        self._past(now)
        self._morning(now)
        self.department.clock.catch_up()
        for file in self.today:
            file.since = now

    def _past(self, now: datetime) -> None:
        for done, (days, case) in enumerate(PAST):
            self._say("past", done, len(PAST))
            self.department.clock.set(now - timedelta(days=days, hours=2))
            if done == 0:
                self.department.everyone_signs_in()
            self.cases.carry(self.cases.open_file(case), case.morning)
        without_images = self.cases.files[-2]
        doctor = self.cases.doctor_of(without_images)
        self.refused(lambda: doctor.do(f"exams/{without_images.accession}/report/open"))
        doctor.do(f"exams/{without_images.accession}/report/call", text="Where are the images?")

    def _morning(self, now: datetime) -> None:
        start = _opening(now)
        acts = sum(case.morning - Stage.NOTHING for case in DAY)
        self.today = [self.cases.open_file(case) for case in DAY]
        self.department.clock.set(start)
        self._daily_floods()
        done = 0
        for stage in list(Stage)[1:]:
            for file in self.today:
                if file.case.morning >= stage:
                    self.department.clock.set(start + (now - start) * done / acts)
                    self._say("morning", done, acts)
                    self.cases.carry(file, stage)
                    done += 1
        self._what_else_happens()

    def _daily_floods(self) -> None:
        for aet in ("NM1", "NM2"):
            camera = self.department.cameras[aet]
            floods = camera.acquire_flood()
            self.tally.expect(camera.send(floods), floods, Fate.QC)

    def _what_else_happens(self) -> None:
        """Somebody who was never registered, a late view, side exits, and cases put before colleagues."""
        camera = self.department.cameras["NM2"]
        images = camera.acquire("THYROID", _STRANGER)
        self.tally.expect(camera.send(images), images, Fate.UNFILED)
        for file in self.today:
            if file.case.mistake is Mistake.LATE_IMAGE:
                self.cases.send_late(file)
            if file.case.ending:
                self.cases.end_otherwise(file)
        self._consultations()

    def _consultations(self) -> None:
        """One asked for, one set for later today, one concluded."""
        readable = [file for file in self.today if file.case.morning is Stage.DRAFTED]
        signed = next(file for file in self.today if file.case.morning is Stage.AMENDED)
        asked = next(
            file for file in self.today if file.case.morning is Stage.IMAGED and file.case.procedure == "PETCT-FDG"
        )
        self._ask(asked, "Is the focus in the liver dome real, or breathing?")
        later = self._ask(readable[0], "Is the defect of the lower wall an attenuation?")
        concluded = self._ask(signed, "Do the ribs need CT?")
        head = self.cases.who("head")
        at = (self.department.clock() + timedelta(hours=2)).isoformat()
        head.do(f"consultations/{later}/schedule", at=at)
        head.do(f"consultations/{concluded}/schedule", at=at)
        head.do(f"consultations/{concluded}/gather")
        head.do(f"consultations/{concluded}/start")
        self.cases.who("doctor2").do(f"consultations/{concluded}/opinion", text="Old fractures; no CT.")
        self.cases.doctor_of(signed).do(f"consultations/{concluded}/opinion", text="I agree.")
        head.do(f"consultations/{concluded}/conclude", text="Old fractures. Control in six months.")

    def _ask(self, file: CaseFile, question: str) -> int:
        asked = self.cases.doctor_of(file).do("consultations", accession=file.accession, question=question)
        return int(asked["id"])

    # -- the rest of the day, at speed ---------------------------------------------------------------------------------

    def play(self) -> None:
        """Put right what went wrong, then carry every case to its evening."""
        self._meet_the_locks()
        self._correct()
        acts = sum(max(0, file.case.evening - file.stage) for file in self.today)
        done = 0
        for stage in list(Stage)[1:]:
            for file in self._still_going(stage):
                self._say("afternoon", done, acts)
                self.cases.step(file)
                done += 1

    def _still_going(self, stage: Stage) -> Iterable[CaseFile]:
        return (file for file in self.today if file.stage == stage - 1 and file.case.evening >= stage)

    def refused(self, act: Callable[[], Any]) -> None:
        """Do what must be refused, and count that it was."""
        try:
            act()
        except Refused:
            self.tally.refused += 1

    def _meet_the_locks(self) -> None:
        """Open what is locked: contradicted images, and a report that a colleague holds."""
        contradicted = self._with(Mistake.NUMBER_OF_ANOTHER)
        doctor = self.cases.doctor_of(contradicted)
        self.refused(lambda: doctor.do(f"exams/{contradicted.accession}/report/open"))
        held = next(file for file in self.today if file.stage is Stage.DRAFTED)
        holder = self.cases.doctor_of(held)
        other = self.cases.who("doctor2" if holder.username == "doctor" else "doctor")
        path = f"exams/{held.accession}/report"
        fence = holder.do(f"{path}/open")["fence"]
        self.refused(lambda: other.do(f"{path}/open"))
        taken = other.do(f"{path}/open", take_over=True)["fence"]
        self.refused(lambda: holder.put(f"{path}/draft", fence=fence, text={"findings": "typed too late"}))
        other.do(f"{path}/release", fence=taken)
        held.fence = None

    def _with(self, mistake: Mistake) -> CaseFile:
        return next(file for file in self.today if file.case.mistake is mistake)

    def _correct(self) -> None:
        """File what was typed wrong, and take what was filed under another's entry to where it belongs."""
        physicist = self.cases.who("physicist")
        for mistake in (Mistake.ACCESSION_TYPED_WRONG, Mistake.NUMBER_TYPED_WRONG, Mistake.NUMBER_OF_ANOTHER):
            self._file(self._with(mistake))
        misfiled = self._with(Mistake.ANOTHER_ENTRY)
        study = str(misfiled.sent[0].StudyInstanceUID)
        physicist.do("images/unfile", study_instance_uid=study, reason="another patient's worklist entry was chosen")
        filed = self._file(misfiled)
        physicist.do(f"corrections/{filed}/undo", reason="to see that it can be undone")
        self._file(misfiled)
        self.tally.corrections += 1

    def _file(self, file: CaseFile) -> int:
        """File a case's images to it, as the physicist does."""
        study = str(file.sent[0].StudyInstanceUID)
        done = self.cases.who("physicist").do(
            f"images/unfiled/{study}/file", accession=file.accession, reason="typed wrong at the camera"
        )
        self.tally.corrections += 1
        return int(done["id"])


def _opening(now: datetime) -> datetime:
    """Return when the doors opened today: some hours ago, but today."""
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    return min(max(now - _MORNING, midnight.astimezone(UTC)), now - _LEAST)
