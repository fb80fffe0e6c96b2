"""Frames are known by when they were taken, as cameras write it, and numbered where they do not."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from core.dicom.compose import Camera, Ordered, compose
from core.dicom.timing import acquired, frame_ms, timing_of, timing_of_moments
from core.dicom.tracers import TRACERS
from core.errors import Refused
from core.imaging import phantom


def sent(made: Any, tracer: str) -> Dataset:  # noqa: ANN401 - a phantom
    numbers = itertools.count(1)
    return compose(
        made.acquisitions[:1], Ordered("P1", "Zhang^Wei"), Camera("CAM1"), TRACERS[tracer],
        uid=lambda: f"1.2.66.{next(numbers)}", clock=lambda: datetime(2026, 3, 2, 8, tzinfo=UTC),
    )[0]  # fmt: skip


@pytest.fixture
def renogram() -> Dataset:
    return sent(phantom.renogram(np.random.default_rng(1), frames=10), "MAG3")


def phase(frames: int, milliseconds: float, delay: float = 0.0, pause: float = 0.0) -> Dataset:
    item = Dataset()
    item.NumberOfFramesInPhase, item.ActualFrameDuration = frames, milliseconds
    item.PhaseDelay, item.PauseBetweenFrames = delay, pause
    return item


def test_frames_of_a_dynamic_study_follow_its_phases(renogram: Dataset) -> None:
    renogram.PhaseInformationSequence = Sequence([phase(4, 2000, pause=500), phase(6, 20_000, delay=1000)])
    renogram.NumberOfPhases = 2
    renogram.PhaseVector = [1] * 4 + [2] * 6
    renogram.TimeSliceVector = [1, 2, 3, 4, 1, 2, 3, 4, 5, 6]
    timing = timing_of(renogram)
    assert timing.timed
    assert timing.middles_s[:5] == (1.0, 3.5, 6.0, 8.5, 21.0)
    assert [(part.first, part.frames, part.frame_s) for part in timing.parts] == [(0, 4, 2.0), (4, 6, 20.0)]


def test_a_phase_without_the_length_of_its_frames_leaves_them_numbered_and_says_so(renogram: Dataset) -> None:
    del renogram.PhaseInformationSequence[0].ActualFrameDuration
    timing = timing_of(renogram)
    assert not timing.timed
    assert timing.middles_s[:3] == (0.0, 1.0, 2.0)
    assert any("does not say how long" in note for note in timing.notes)


def test_frames_of_one_detector_are_told_from_those_of_the_other() -> None:
    flow = sent(phantom.bone_three_phase(np.random.default_rng(1)), "MDP")
    detectors = len(flow.DetectorInformationSequence)
    total = int(flow.NumberOfFrames)
    if detectors == 1:
        flow.DetectorInformationSequence = Sequence([flow.DetectorInformationSequence[0]] * 2)
        flow.NumberOfDetectors, flow.DetectorVector = 2, [1] * (total // 2) + [2] * (total // 2)
        flow.PhaseVector = [1] * total
        flow.TimeSliceVector = [*range(1, total // 2 + 1)] * 2
        flow.PhaseInformationSequence[0].NumberOfFramesInPhase = total // 2
    assert timing_of(flow, detector=2).frames == tuple(range(total // 2, total))
    assert timing_of(flow).frames == tuple(range(total // 2))
    with pytest.raises(Refused, match="there is no detector 3; the object has 1, 2"):
        timing_of(flow, detector=3)


def test_slots_of_a_gated_study_count_from_the_r_wave() -> None:
    gated = sent(phantom.gated_blood_pool(np.random.default_rng(1)), "RBC")
    timing, lasts = timing_of(gated), frame_ms(gated)
    assert lasts is not None
    assert timing.timed
    assert timing.middles_s[0] == pytest.approx(lasts / 2000)
    assert timing.middles_s[-1] == pytest.approx((len(timing.frames) - 0.5) * lasts / 1000)


def header(**said: object) -> Dataset:
    out = Dataset()
    for name, value in said.items():
        setattr(out, name, value)
    return out


def test_moments_of_a_dynamic_pet_are_as_far_apart_as_they_were_taken() -> None:
    headers = [
        header(AcquisitionDate="20260302", AcquisitionTime=time, ActualFrameDuration=lasts)
        for time, lasts in (("235950", 10_000), ("235959.5", 10_000), ("235959.9", 60_000))
    ]
    headers[2].AcquisitionDate, headers[2].AcquisitionTime = "20260303", "000010"
    timing = timing_of_moments(headers, 3)
    assert timing.timed
    assert timing.middles_s == (5.0, 14.5, 50.0)
    assert timing_of_moments([header(TriggerTime=trigger) for trigger in (0, 120, 240)], 3).middles_s == (
        0.0,
        0.12,
        0.24,
    )
    assert not timing_of_moments([header(), header()], 2).timed
    assert acquired(header(AcquisitionTime="08")) is None
