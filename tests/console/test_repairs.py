"""What was mended in an object is told in a few lines beside its picture."""

from __future__ import annotations

from console.widgets.repairs import mended_lines, repair_lines


def test_nothing_is_said_of_what_came_standard() -> None:
    assert not mended_lines({"repairs": [], "charset": None})
    assert not mended_lines({})


def test_repairs_are_counted_and_the_first_of_them_told() -> None:
    said = repair_lines([f"Rows: fault {number}" for number in range(6)]).plain
    assert said.splitlines()[0].endswith("6")
    assert "fault 3" in said
    assert "fault 4" not in said
    assert "2" in said.splitlines()[-1]


def test_a_charset_that_was_overruled_is_told_with_its_confidence() -> None:
    instance = {
        "repairs": ["SpecificCharacterSet: wrong"],
        "charset": {"said": "ISO_IR 100", "found": "GB18030", "confidence": 0.987},
    }
    said = mended_lines(instance).plain
    assert all(word in said for word in ("GB18030", "ISO_IR 100", "99%"))
