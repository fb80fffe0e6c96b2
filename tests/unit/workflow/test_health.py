"""Anybody may ask how the service is, as often as they like; what runs full is said before it is."""

from __future__ import annotations

import threading
from itertools import count
from pathlib import Path

import pytest

from core.api.health import exposed
from core.errors import Broken
from core.workflow.health import Health, Lately, Measure, space_warning
from tests.unit.workflow.department import Department


def _broken() -> str:
    raise Broken("the disk is gone: bring it back")


def _health(department: Department, folder: Path) -> Health:
    looks = {"database": lambda: "", "store": lambda: space_warning(3.2e9, 20e9, "images"), "dicom": _broken}
    return Health(department.records, looks, {"data": folder, "away": folder / "absent"})


def test_each_part_says_whether_it_works_and_what_will_soon_not(department: Department, tmp_path: Path) -> None:
    said = {part.name: (part.ready, part.detail) for part in _health(department, tmp_path).parts()}
    assert said["database"] == (True, "")
    assert said["store"] == (True, "only 3.2 GB are free for images: make room before it is full")
    assert said["dicom"] == (False, "the disk is gone: bring it back")


def test_space_enough_is_no_word_worth() -> None:
    assert space_warning(21e9, 20e9, "images") == ""


def test_many_askers_make_one_look() -> None:
    looks = count(1)
    lately = Lately(lambda: next(looks), 60)
    assert [lately() for _ in range(5)] == [1] * 5


def test_who_asks_while_somebody_looks_hears_what_was_found_before() -> None:
    looking, go_on = threading.Event(), threading.Event()
    found = iter(["first", "second"])

    def look() -> str:
        answer = next(found)
        if answer == "second":
            looking.set()
            assert go_on.wait(10)
        return answer

    lately = Lately(look, seconds=-1)
    assert lately() == "first"
    somebody = threading.Thread(target=lately)
    somebody.start()
    assert looking.wait(10)
    assert lately() == "first"
    go_on.set()
    somebody.join(10)


def test_what_is_counted_is_written_as_prometheus_reads_it(department: Department, tmp_path: Path) -> None:
    department.file_images()
    said = exposed(_health(department, tmp_path).measures()).splitlines()
    assert "# TYPE photopeak_events_total counter" in said
    assert 'photopeak_archive_objects{site="MAIN"} 1' in said
    assert 'photopeak_part_ready{part="dicom"} 0' in said
    assert 'photopeak_batches_waiting{state="unfiled"} 0' in said
    assert "photopeak_archive_damaged_objects 0" in said
    assert [line for line in said if line.startswith('photopeak_disk_free_bytes{place="data"}')]
    assert not [line for line in said if "absent" in line or "away" in line]


@pytest.mark.parametrize(("word", "written"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb")])
def test_a_label_cannot_break_out_of_its_quotes(word: str, written: str) -> None:
    assert exposed([Measure("x", "y", [({"of": word}, 1)])]).splitlines()[-1] == f'photopeak_x{{of="{written}"}} 1'
