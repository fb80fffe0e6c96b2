"""The viewer's page: what stands on the light table, and what is done with it elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from console.screens.dialogs import AskText, Choose
from console.screens.viewer.measuring import Measuring
from console.widgets.reel import Question
from console.widgets.sides import FRAMES, MIP
from console.words import _
from core.vocabulary import Operation

_EXPORTED = (768, 768)  # pixels of a picture that is kept


class Viewer(Measuring):
    """The series of an exam, or of a study that is not filed yet."""

    NAME = "viewer"
    TITLE = "Viewer"
    HELP = (
        "The images of an exam. Left and right change the frame or slice, up and down the series. 1 shows frames, 2 "
        "puts another series or an earlier exam beside them, 3 shows three planes through one place, 4 the turning "
        "projection. The window is chosen for each picture until you change it: + and - make it brighter or darker, "
        "[ and ] move its lower end, w types it, s gives the series one window, a gives it back. F2 to F4 draw a "
        "region by arrows or by mouse, F6 measures a distance, F7 draws the curves. The numbers beside the picture "
        "always say what is shown. The identity in the images stands under the registered one; what differs is marked."
    )
    HEARS = frozenset({"exam"})

    # -- elsewhere ---------------------------------------------------------------------------------------------------

    def action_header(self) -> None:
        """Read the object's elements."""
        from console.screens.header import HeaderPage  # noqa: PLC0415 - when it is first wanted

        if spot := self.side.reel.spot:
            self.app.push_screen(HeaderPage(self.desk, spot.uid))

    def action_report(self) -> None:
        """Write or read the report."""
        from console.screens.report import ReportPage  # noqa: PLC0415 - the report shows images too

        if self._accession and self.desk.may(Operation.WRITE_REPORT):
            self.app.push_screen(ReportPage(self.desk, self._accession))

    # -- to keep -----------------------------------------------------------------------------------------------------

    def action_export(self) -> None:
        """Keep the picture, or what a cine of it shows, as a file on this side."""
        options = [
            ("png", _("This picture"), "PNG"),
            ("apng", _("The cine, as pictures in one file"), "animated PNG"),
        ]
        self.app.push_screen(Choose(_("Keep as a file"), options), self._choose_file)

    def _choose_file(self, kind: str | None) -> None:
        if kind is None:
            return
        place = self.side.reel.place + 1
        name = f"{self._accession or 'study'}-{self.side.reel.now['number'] or 0}-{self.pane.kind}-{place}.png"
        said = _("The file is written on the computer the console runs on; a folder that is there, a new name.")
        title = _("Write to")
        self.app.push_screen(AskText(title, said, value=str(Path.home() / name)), partial(self._export, kind))

    def _export(self, kind: str, name: str | None) -> None:
        if not name:
            return
        path = Path(name).expanduser()
        if path.exists():
            self.notify(_("{path} is there already; give another name.").format(path=path), severity="warning")
            return
        question = self.side.question(self.pane.kind, _EXPORTED)
        if question is not None:
            self.ask(
                partial(self._write, question, kind, path),
                partial(self._written, path),
                only_last="export",
            )

    def _write(self, question: Question, kind: str, path: Path) -> str:
        query: dict[str, Any] = {**dict(question.query), "format": kind}
        if kind == "apng" and self.pane.kind != FRAMES:
            several = self.side.moments > 1
            query["cine"] = "turn" if self.pane.kind == MIP else "moments" if several else "slices"
        picture = self.desk.client.get(question.path.removesuffix("picture") + "export", **query)
        try:
            with path.open("xb") as file:
                file.write(picture)
        except OSError as error:
            return str(error.strerror)
        return ""

    def _written(self, path: Path, fault: str) -> None:
        if fault:
            said = _("{path} could not be written: {fault}").format(path=path, fault=fault)
            self.notify(said, severity="error", timeout=10, markup=False)
        else:
            self.done(_("Kept in {path}").format(path=path))
