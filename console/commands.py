"""Every command there is, in one table: it feeds the keys, the key line, the palette, the help and the manual.

A command belongs to a page, or to every page (`EVERYWHERE`). `key` is its own key, which the person's keymap may
change; `action` names the method `action_...` of the page that does it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from console.words import _
from core.vocabulary import Operation, Role, extent

EVERYWHERE = ""


@dataclass(frozen=True)
class Command:
    """One thing a person can ask for; `id` never changes, `right` hides it from those who may not."""

    id: str
    key: str
    title: str  # the English words; `words` says them
    shown: bool = True  # on the key line
    right: Operation | None = None

    @property
    def page(self) -> str:
        """The page it belongs to, or EVERYWHERE."""
        return self.id.partition(".")[0] if "." in self.id else EVERYWHERE

    @property
    def action(self) -> str:
        """The name of the method that does it, without `action_`."""
        return self.id.rpartition(".")[2]

    @property
    def words(self) -> str:
        """The title in the person's language."""
        return _(self.title)


COMMANDS: tuple[Command, ...] = (
    Command("help", "f1", "Help"),
    Command("find", "ctrl+g,slash", "Find"),
    Command("palette", "ctrl+p", "All commands"),
    Command("back", "escape", "Back", shown=False),
    Command("reload", "f5", "Read again", shown=False),
    Command("theme", "ctrl+t", "Change theme", shown=False),
    Command("language", "", "Change language", shown=False),
    Command("copy_row", "ctrl+y", "Copy what is selected", shown=False),
    Command("sign_out", "", "Sign out", shown=False),
    Command("quit", "ctrl+q", "Quit", shown=False),
    # -- front desk
    Command("front_desk.new_patient", "f2", "New patient", right=Operation.REGISTER),
    Command("front_desk.new_exam", "f3", "New exam", right=Operation.REGISTER),
    Command("front_desk.arrive", "f4", "Arrived", right=Operation.ATTEND),
    # -- a patient
    Command("patient.new_exam", "f3", "New exam", right=Operation.REGISTER),
    Command("patient.arrive", "f4", "Arrived", right=Operation.ATTEND),
    Command("patient.edit", "f6", "Change", right=Operation.REGISTER),
    Command("patient.receipt", "f7", "Receipt"),
    Command("patient.cancel_exam", "f8", "Cancel exam", right=Operation.REGISTER),
    Command("patient.merge", "f9", "Same person", right=Operation.MERGE_PATIENTS),
    Command("patient.unmerge", "f10", "Take a merge back", shown=False, right=Operation.MERGE_PATIENTS),
    # -- the registration form
    Command("registration.register", "ctrl+s", "Register"),
    Command("registration.unknown", "f4", "Unknown patient"),
    Command("patient_change.save", "ctrl+s", "Save", right=Operation.REGISTER),
    # -- triage
    Command("triage.urgency", "u", "Urgency", right=Operation.TRIAGE),
    Command("triage.assign", "a", "Assign", right=Operation.TRIAGE),
    Command("triage.checks", "k", "Answer checks", right=Operation.ATTEND),
    Command("triage.arrive", "f4", "Arrived", right=Operation.ATTEND),
    Command("triage.open_patient", "p", "Patient"),
    # -- worklist
    Command("worklist.protocol", "p", "Protocol", right=Operation.PROTOCOL),
    Command("worklist.view", "v", "View", right=Operation.VIEW_IMAGES),
    Command("worklist.report", "r", "Report"),
    Command("worklist.consult", "c", "Consultation", right=Operation.CONSULT),
    Command("worklist.checks", "k", "Checks"),
    Command("worklist.patient", "o", "Patient"),
    Command("worklist.view_mine", "1", "My patients", shown=False),
    Command("worklist.view_everyone", "2", "Department", shown=False),
    Command("worklist.view_late", "3", "Late", shown=False),
    Command("worklist.view_latest", "4", "Latest", shown=False),
    # -- camera
    Command("camera.arrive", "f4", "Arrived", right=Operation.ATTEND),
    Command("camera.not_this_patient", "x", "Not this patient"),
    Command("camera.draw", "f6", "Draw", right=Operation.ATTEND),
    Command("camera.inject", "f7", "Inject", right=Operation.ATTEND),
    Command("camera.start", "s", "Start", right=Operation.ATTEND),
    Command("camera.finish", "f", "Finish", right=Operation.ATTEND),
    Command("camera.checks", "k", "Checks"),
    Command("camera.residual", "f8", "Left", right=Operation.ATTEND),
    Command("camera.not_done", "n", "Not done", right=Operation.ATTEND),
    Command("camera.break_off", "b", "Break off", right=Operation.ATTEND),
    Command("camera.reopen", "u", "Take up again", shown=False, right=Operation.ATTEND),
    Command("camera.device", "f2", "Device"),
    Command("camera.confirm", "g", "Confirm filing", right=Operation.CONFIRM_CANDIDATE),
    Command("camera.answer", "t", "Answer a call", right=Operation.ATTEND),
    Command("camera.view", "v", "View", right=Operation.VIEW_IMAGES),
    Command("camera.patient", "o", "Patient"),
    Command("camera.view_today", "1", "Today", shown=False),
    Command("camera.view_next", "2", "Not done yet", shown=False),
    # -- filing
    Command("filing.file", "f", "File", right=Operation.CONFIRM_CANDIDATE),
    Command("filing.other_candidate", "full_stop", "Next candidate"),
    Command("filing.split", "s", "One series", right=Operation.FILE),
    Command("filing.unfile", "n", "Unfile", right=Operation.FILE),
    Command("filing.admit", "a", "Admit", right=Operation.FILE, shown=False),
    Command("filing.undo", "u", "Undo", right=Operation.FILE),
    Command("filing.view", "v", "View", right=Operation.VIEW_IMAGES),
    Command("filing.view_unfiled", "1", "Unfiled", shown=False),
    Command("filing.view_conflicting", "2", "Conflicting", shown=False),
    Command("filing.view_overdue", "3", "Overdue", shown=False),
    Command("filing.view_quarantined", "4", "Kept apart", shown=False),
    Command("filing.view_qc", "5", "QC shelf", shown=False),
    Command("filing.view_filed", "6", "Filed lately", shown=False),
    Command("filing.view_corrections", "7", "Trace of corrections", shown=False),
    # -- preprocessing
    Command("preprocessing.process", "f2", "Process", right=Operation.PROCESS),
    Command("preprocessing.change", "f3", "Parameters", right=Operation.PROCESS),
    Command("preprocessing.accept", "f4", "Accept", right=Operation.PROCESS),
    Command("preprocessing.again", "f6", "Repeat", right=Operation.PROCESS),
    Command("preprocessing.discard", "f8", "Discard", right=Operation.PROCESS),
    Command("preprocessing.cancel", "f9", "Stop", right=Operation.PROCESS),
    Command("preprocessing.view", "v", "View", right=Operation.VIEW_IMAGES),
    Command("preprocessing.view_waiting", "1", "Waiting", shown=False),
    Command("preprocessing.view_to_accept", "2", "To accept", shown=False),
    Command("preprocessing.view_running", "3", "Under way", shown=False),
    Command("preprocessing.view_failed", "4", "Failed", shown=False),
    Command("preprocessing.view_ended", "5", "Lately", shown=False),
    # -- one processing, step by step
    Command("processing.change", "f3", "Parameters", right=Operation.PROCESS),
    Command("processing.accept", "f4", "Accept", right=Operation.PROCESS),
    Command("processing.compare", "b", "Before", right=Operation.VIEW_IMAGES),
    Command("processing.nudge", "n", "Move", right=Operation.PROCESS),
    Command("processing.again", "f6", "Repeat", right=Operation.PROCESS),
    Command("processing.discard", "f8", "Discard", right=Operation.PROCESS),
    Command("processing.cancel", "f9", "Stop", right=Operation.PROCESS),
    Command("processing.tell", "d", "In full", shown=False),
    Command("processing.view", "v", "View", shown=False, right=Operation.VIEW_IMAGES),
    Command("processing.apply", "enter", "Process what was moved", shown=False, right=Operation.PROCESS),
    Command("processing.next_stage", "down", "Next step", shown=False),
    Command("processing.previous_stage", "up", "Step before", shown=False),
    Command("processing.next_frame", "right", "Next frame", shown=False),
    Command("processing.previous_frame", "left", "Frame before", shown=False),
    Command("processing.leap_on", "pagedown", "Ten frames on", shown=False),
    Command("processing.leap_back", "pageup", "Ten frames back", shown=False),
    Command("processing.first_frame", "home", "First frame", shown=False),
    Command("processing.last_frame", "end", "Last frame", shown=False),
    Command("processing.next_moment", "t", "Next moment", shown=False),
    Command("processing.cine", "space", "Cine", shown=False),
    Command("processing.faster", "full_stop", "Cine faster, greater steps", shown=False),
    Command("processing.slower", "comma", "Cine slower, smaller steps", shown=False),
    Command("processing.map", "m", "Colours", shown=False),
    Command("processing.window", "w", "Window", shown=False),
    Command("processing.auto_window", "a", "Automatic", shown=False),
    Command("processing.grid", "g", "Grid", shown=False),
    Command("processing.zoom_in", "z", "Nearer", shown=False),
    Command("processing.zoom_out", "x", "Farther", shown=False),
    Command("processing.invert", "i", "Invert", shown=False),
    Command("processing.brighter", "plus,equals_sign", "Brighter", shown=False),
    Command("processing.darker", "minus", "Darker", shown=False),
    Command("processing.raise_floor", "right_square_bracket", "Raise the lower end", shown=False),
    Command("processing.lower_floor", "left_square_bracket", "Lower the lower end", shown=False),
    # -- its parameters
    Command("processing_form.start", "ctrl+s", "Process", right=Operation.PROCESS),
    Command("processing_form.usual", "ctrl+r", "The usual ones", right=Operation.PROCESS),
    # -- service
    Command("service.echo", "e", "Echo", right=Operation.ADMINISTER),
    Command("service.subject", "f3", "Audit trail of", right=Operation.READ_AUDIT),
    Command("service.view_parts", "1", "Parts", shown=False),
    Command("service.view_devices", "2", "Devices", shown=False),
    Command("service.view_heard", "3", "Heard", shown=False),
    Command("service.view_staff", "4", "Staff", shown=False),
    Command("service.view_audit", "5", "Audit trail", shown=False, right=Operation.READ_AUDIT),
    Command("service.view_integrity", "6", "Integrity", shown=False),
    Command("service.view_jobs", "7", "Work", shown=False),
    Command("service.retry", "r", "Try again", shown=False),
    Command("service.give_up", "x", "Give up", shown=False),
    Command("service.verify", "v", "Verify", right=Operation.ADMINISTER),
    Command("service.verify_bytes", "b", "Verify bytes", right=Operation.ADMINISTER),
    # -- an exam in full
    Command("exam.protocol", "p", "Protocol", right=Operation.PROTOCOL),
    Command("exam.view", "v", "View", right=Operation.VIEW_IMAGES),
    Command("exam.report", "r", "Report"),
    Command("exam.consult", "c", "Consultation", right=Operation.CONSULT),
    Command("exam.checks", "k", "Checks"),
    Command("exam.patient", "o", "Patient"),
    # -- the viewer
    Command("viewer.cine", "space", "Cine", right=Operation.VIEW_IMAGES),
    Command("viewer.view_frames", "1", "Frames", shown=False),
    Command("viewer.view_beside", "2", "Beside"),
    Command("viewer.view_planes", "3", "Planes"),
    Command("viewer.view_mip", "4", "MIP"),
    Command("viewer.window", "w", "Window"),
    Command("viewer.map", "m", "Colours"),
    Command("viewer.grid", "g", "Grid"),
    Command("viewer.ellipse", "f3", "Region"),
    Command("viewer.report", "r", "Report", right=Operation.WRITE_REPORT),
    Command("viewer.header", "d", "Header"),
    Command("viewer.zoom_in", "z", "Nearer"),
    Command("viewer.auto_window", "a", "Automatic"),
    Command("viewer.scale", "s", "One window"),
    Command("viewer.rectangle", "f2", "Rectangle", shown=False),
    Command("viewer.freehand", "f4", "Freehand", shown=False),
    Command("viewer.distance", "f6", "Distance"),
    Command("viewer.curves", "f7", "Curves"),
    Command("viewer.export", "f8", "Keep as a file"),
    Command("viewer.next_region", "n", "Next region", shown=False),
    Command("viewer.zoom_out", "x", "Farther", shown=False),
    Command("viewer.invert", "i", "Invert", shown=False),
    Command("viewer.next_frame", "right", "Next frame or slice", shown=False),
    Command("viewer.previous_frame", "left", "Frame or slice before", shown=False),
    Command("viewer.first_frame", "home", "First frame", shown=False),
    Command("viewer.last_frame", "end", "Last frame", shown=False),
    Command("viewer.next_series", "down", "Next series", shown=False),
    Command("viewer.previous_series", "up", "Series before", shown=False),
    Command("viewer.other_picture", "o", "Other picture", shown=False),
    Command("viewer.full", "f", "Numbers beside or below", shown=False),
    Command("viewer.link", "u", "Sides together or apart", shown=False),
    Command("viewer.next_moment", "t", "Next moment", shown=False),
    Command("viewer.over", "b", "Lay over it", shown=False),
    Command("viewer.over_mode", "c", "Blend, checkerboard, fused", shown=False),
    Command("viewer.over_map", "v", "Colours of what lies over it", shown=False),
    Command("viewer.over_more", "greater_than_sign", "More of what lies over it", shown=False),
    Command("viewer.over_less", "less_than_sign", "Less of what lies over it", shown=False),
    Command("viewer.faster", "full_stop", "Cine faster", shown=False),
    Command("viewer.slower", "comma", "Cine slower", shown=False),
    Command("viewer.brighter", "plus,equals_sign", "Brighter", shown=False),
    Command("viewer.darker", "minus", "Darker", shown=False),
    Command("viewer.raise_floor", "right_square_bracket", "Raise the lower end", shown=False),
    Command("viewer.lower_floor", "left_square_bracket", "Lower the lower end", shown=False),
    Command("viewer.pan_left", "h,shift+left", "Look or go left", shown=False),
    Command("viewer.pan_right", "l,shift+right", "Look or go right", shown=False),
    Command("viewer.pan_up", "k,shift+up", "Look or go up", shown=False),
    Command("viewer.pan_down", "j,shift+down", "Look or go down", shown=False),
    # -- a region under the hand, in the viewer
    Command("region.finish", "enter", "Done"),
    Command("region.put_point", "space", "Put a point"),
    Command("region.take_back", "backspace", "Take it back"),
    Command("region.wider", "l,shift+right", "Wider, or jump right"),
    Command("region.taller", "j,shift+down", "Taller, or jump down"),
    Command("region.name", "n", "Name"),
    Command("region.drop", "x,delete", "Take away"),
    Command("region.narrower", "h,shift+left", "Narrower, or jump left", shown=False),
    Command("region.flatter", "k,shift+up", "Flatter, or jump up", shown=False),
    Command("region.move_left", "left", "Left", shown=False),
    Command("region.move_right", "right", "Right", shown=False),
    Command("region.move_up", "up", "Up", shown=False),
    Command("region.move_down", "down", "Down", shown=False),
    # -- the curves of regions
    Command("curves.rate", "c", "Per second"),
    Command("curves.next_time", "right", "Next frame"),
    Command("curves.previous_time", "left", "Frame before"),
    Command("curves.first_time", "home", "First frame", shown=False),
    Command("curves.last_time", "end", "Last frame", shown=False),
    # -- the report: single letters are text there, but for a locked one
    Command("report.view", "f2", "Images", right=Operation.VIEW_IMAGES),
    Command("report.preliminary", "f3", "Preliminary", right=Operation.WRITE_REPORT),
    Command("report.sign", "f4", "Sign", right=Operation.SIGN_REPORT),
    Command("report.take", "f9", "Open/let go", right=Operation.WRITE_REPORT),
    Command("report.template", "f6", "Template", right=Operation.WRITE_REPORT),
    Command("report.page", "f7", "PDF"),
    Command("report.send_back", "f8", "Return", right=Operation.SIGN_REPORT),
    Command("report.amend", "f10", "Amend", right=Operation.SIGN_REPORT),
    Command("report.call", "t", "Tell technologist", shown=False, right=Operation.WRITE_REPORT),
    Command("report.consult", "f12", "Consult", right=Operation.CONSULT),
    Command("report.save", "ctrl+s", "Save", right=Operation.WRITE_REPORT),
    Command("report.versions", "ctrl+r", "Versions"),
    Command("report.around", "ctrl+b", "Around it", shown=False),
    Command("report.kept", "ctrl+l", "Texts kept", shown=False, right=Operation.WRITE_REPORT),
    Command("report.seen", "ctrl+n", "Seen", shown=False, right=Operation.WRITE_REPORT),
    Command("report.withdraw", "", "Withdraw", shown=False, right=Operation.OVERRIDE_REPORT),
    # -- consultation
    Command("consultation.opinion", "o", "Opinion", right=Operation.CONSULT),
    Command("consultation.schedule", "s", "Set the time", right=Operation.CONCLUDE_CONSULTATION),
    Command("consultation.gather", "g", "Gathered", right=Operation.CONCLUDE_CONSULTATION),
    Command("consultation.start", "b", "Begin", right=Operation.CONCLUDE_CONSULTATION),
    Command("consultation.conclude", "k", "Conclude", right=Operation.CONCLUDE_CONSULTATION),
    Command("consultation.view", "v", "Images", right=Operation.VIEW_IMAGES),
    Command("consultation.report", "r", "Report", right=Operation.WRITE_REPORT),
    Command("consultation.withdraw", "x", "Take back", shown=False, right=Operation.CONSULT),
    Command("consultation.over", "h", "Also those over", shown=False),
)


def of_page(page: str, roles: Iterable[Role], commands: tuple[Command, ...] = COMMANDS) -> list[Command]:
    """Return the commands of a page, then those of every page, that `roles` may use."""
    may = frozenset(roles)
    own = [one for one in commands if one.page == page and page != EVERYWHERE]
    everywhere = [one for one in commands if one.page == EVERYWHERE]
    return [one for one in own + everywhere if one.right is None or extent(may, one.right)]
