"""Draw reports and receipts as PDF with Typst.

Facts go in as JSON data, so that nothing a person typed is ever read as markup; fonts are our own, so that a page
looks the same on every machine.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import typst
from noto_cjk_sans_otc import FONT_PATH

_HERE = Path(__file__).parent
Facts = Mapping[str, object]


class Press:
    """Draws pages; keeps the compiler with its fonts between them."""

    def __init__(self) -> None:
        self._turn = threading.Lock()

    def report_pdf(self, facts: Facts) -> bytes:
        """Draw a report; `facts` is what `core.workflow.papers.report` gives."""
        return self._drawn("report.typ", facts)

    def receipt_pdf(self, facts: Facts) -> bytes:
        """Draw the paper a patient takes home; `facts` is what `core.workflow.papers.receipt` gives."""
        return self._drawn("receipt.typ", facts)

    @cached_property
    def _compiler(self) -> typst.Compiler:
        fonts = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[Path(str(FONT_PATH)).parent]
        )
        return typst.Compiler(root=_HERE, font_paths=fonts, ignore_system_fonts=True)

    def _drawn(self, page: str, facts: Facts) -> bytes:
        said = json.dumps(facts, ensure_ascii=False)
        with self._turn:  # one compiler, one page at a time
            drawn = self._compiler.compile(_HERE / page, format="pdf", sys_inputs={"facts": said})
        if not isinstance(drawn, bytes):
            msg = f"{page} came out as {type(drawn).__name__}"
            raise TypeError(msg)
        return drawn
