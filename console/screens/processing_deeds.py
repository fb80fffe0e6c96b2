"""What a physicist does with a processing, wherever it is chosen: change and repeat it, accept, discard, stop, look."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from textual.widgets import Static

from console.desk import Desk
from console.screens.dialogs import Choose, Confirm
from console.screens.page import Page
from console.screens.processing_form import ParametersPage
from console.widgets.paged_list import Item
from console.widgets.processing import UNDER_WAY, who
from console.words import _
from core.vocabulary import PROCESSING_DECIDED, ProcessingState

_EARLIER = 6  # exams of the patient whose series are offered too


class Processed(Page):
    """A page on which a processing is chosen and something decided about it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.recipes: dict[str, Item] = {}

    def chosen_processing(self) -> Item | None:
        """Return the processing that is meant."""
        raise NotImplementedError

    def processed(self, one: Item) -> None:
        """Take in a processing that was changed or made."""
        raise NotImplementedError

    def read_recipes(self) -> None:
        """Ask once for what can be processed, and how."""
        if not self.recipes:
            self.ask(partial(self.desk.client.get, "processing/recipes"), self._take_recipes, only_last="recipes")

    def _take_recipes(self, recipes: list[Item]) -> None:
        self.recipes = {str(one["name"]): one for one in recipes}
        self.recipes_read()

    def recipes_read(self) -> None:
        """Show what needed the recipes."""

    # -- again, with other parameters --------------------------------------------------------------------------------

    def action_change(self) -> None:
        """Change the parameters, and process again."""
        one = self.chosen_processing()
        recipe = self.recipes.get(one["recipe"]) if one else None
        if one and recipe:
            form, send = f"processing-{one['id']}", partial(self._post_repeat, one)
            page = ParametersPage(self.desk, recipe, one["parameters"], send, whose=_whose(one), form=form)
            self.app.push_screen(page, self._repeated)

    def _post_repeat(self, one: Item, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.post(f"processing/{one['id']}/repeat", dict(body))

    def action_again(self) -> None:
        """Process again with the same parameters."""
        if one := self.chosen_processing():
            self.repeat(one, one["parameters"])

    def repeat(self, one: Item, parameters: Mapping[str, Any]) -> None:
        """Process again with these parameters."""
        self.ask(partial(self._post_repeat, one, {"parameters": dict(parameters)}), self._repeated)

    def _repeated(self, made: Item | None) -> None:
        if made:
            self.done(_("It is processed again; the result before it stays until the new one is accepted."))
            self.processed(made)

    # -- another processing of the exam ------------------------------------------------------------------------------

    def offer_recipes(self, exam: Item) -> None:
        """Choose how the images of an exam are processed."""
        options = [(key, _(one["title"]), _(one["takes"])) for key, one in self.recipes.items()]
        title = _("How are the images processed?  {whose}").format(whose=_whose(exam))
        self.app.push_screen(Choose(title, options), partial(self._ask_images, exam))

    def _ask_images(self, exam: Item, recipe: str | None) -> None:
        if recipe:
            self.ask(partial(self._read_images, exam), partial(self._ask_parameters, exam, recipe), only_last="images")

    def _read_images(self, exam: Item) -> list[tuple[str, str]]:
        """Return the series of the exam, then those of the patient's other exams: other dates, other modalities."""
        client = self.desk.client
        others = client.get(f"patients/{exam['patient_number']}")["exams"]
        others = [one for one in others if one != exam["accession"]][:_EARLIER]
        return [
            (str(one["uid"]), _series_words(accession, one))
            for accession in (exam["accession"], *others)
            for one in client.get(f"exams/{accession}/series")
        ]

    def _ask_parameters(self, exam: Item, recipe: str, images: list[tuple[str, str]]) -> None:
        send = partial(self._post_new, exam["accession"], recipe)
        form = f"processing-{exam['accession']}-{recipe}"
        page = ParametersPage(self.desk, self.recipes[recipe], {}, send, whose=_whose(exam), form=form, images=images)
        self.app.push_screen(page, self._begun)

    def _post_new(self, accession: str, recipe: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return self.desk.client.post(f"exams/{accession}/processing", {"recipe": recipe, **body})

    def _begun(self, made: Item | None) -> None:
        if made:
            self.done(_("It waits its turn: {title}.").format(title=_(made["title"])))
            self.processed(made)

    # -- accepting, discarding, stopping -----------------------------------------------------------------------------

    def action_accept(self) -> None:
        """Accept the result: it is filed beside the images."""
        one = self.chosen_processing()
        if one and one["warnings"] and one["state"] == ProcessingState.MADE:
            text = "\n".join(f"! {warning}" for warning in one["warnings"])
            ask = Confirm(_("Accept the result in spite of this?"), text, yes=_("Accept"), no=_("Go back"))
            self.app.push_screen(ask, lambda sure: self._accept(one) if sure else None)
        elif one:
            self._accept(one)

    def _accept(self, one: Item) -> None:
        self._do(
            one,
            "accept",
            _("Accepted: filed beside the images of {accession}."),
            _("On the filing page it can be taken away again."),
        )

    def action_discard(self) -> None:
        """Discard the result; the images themselves stay."""
        if one := self.chosen_processing():
            text = _("The images stay as they are; only this result is thrown away.")
            title = _("Discard {title}?").format(title=_(one["title"]))
            ask = Confirm(title, text, yes=_("Discard"), no=_("Keep it"))
            self.app.push_screen(ask, lambda sure: self._discard(one) if sure else None)

    def _discard(self, one: Item) -> None:
        self._do(one, "discard", _("Discarded: {title} of {accession}."), _("It can be processed again."))

    def action_cancel(self) -> None:
        """Stop a processing that waits or runs."""
        one = self.chosen_processing()
        if one and one["state"] not in UNDER_WAY:
            self.notify(_("It does not run: there is nothing to stop."), markup=False)
        elif one:
            undo = _("F8 discards it: the result before is back.") if one["replaces"] else _("F6 does it again.")
            self._do(one, "cancel", _("Stopped: {title} of {accession}."), undo)

    def _do(self, one: Item, verb: str, said: str, undo: str) -> None:
        def then(changed: Item) -> None:
            self.done(said.format(title=_(one["title"]), accession=one["accession"]), undo=undo)
            self.processed(changed)
            if changed["state"] in PROCESSING_DECIDED:
                self.settled()

        self.ask(lambda: self.desk.client.post(f"processing/{one['id']}/{verb}"), then)

    def settled(self) -> None:
        """Go on after a result was accepted or discarded."""

    # -- elsewhere ---------------------------------------------------------------------------------------------------

    def action_view(self) -> None:
        """Look at the images of the exam."""
        from console.screens.viewer import Viewer  # noqa: PLC0415 - loaded when it is opened

        if one := self.chosen_processing():
            self.app.push_screen(Viewer(self.desk, one["accession"]))

    def selected_text(self) -> str:
        """The accession number."""
        one = self.chosen_processing()
        return str(one["accession"]) if one else ""


def _whose(one: Item) -> str:
    return f"{who(one)}  {one['patient_number']}  {one['accession']}"


def _series_words(accession: str, series: Item) -> str:
    """Return what a series is called among others: its exam, its date, its modality and name."""
    day = str(series["date"])[:8]
    count = sum(one["frames"] or 0 for one in series["instances"])
    words = (accession, day, series["modality"], series["description"] or series["step"], f"({count})")
    return "  ".join(filter(None, words))


def put(widget: Static, said: dict[str, Any], content: Any) -> None:  # noqa: ANN401 - text or rich text
    """Draw a text unless it stands there already: what is the same is not sent again."""
    if said.get(widget.id or "") != content:
        said[widget.id or ""] = content
        widget.update(content)
