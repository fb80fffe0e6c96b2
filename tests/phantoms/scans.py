"""Projections of a made-up acquisition, as `core.dicom.volumes` would read them from its object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from core.dicom.tracers import window_kev
from core.imaging.acquisition import Acquisition
from core.imaging.reconstruction.corrections import triple_energy_window, with_scatter
from core.imaging.reconstruction.projections import Projections


def scan_of(acquisition: Acquisition, rows: slice | Sequence[int] = slice(None)) -> Projections:
    """Return the photopeak's projections, with scatter estimated from the windows beside it where there are any.

    Some `rows` of the detector alone may be asked for.
    """
    assert acquisition.orbit is not None
    angles = np.asarray(acquisition.orbit.angles_deg())
    frames = acquisition.frames.astype(np.float32)[:, rows]
    windows = frames.reshape(len(acquisition.energy_windows), len(angles), *frames.shape[1:])
    pixel = acquisition.pixel_mm
    scan = Projections(windows[0], angles, pixel, pixel, np.asarray(acquisition.orbit.distances_mm()))
    if len(windows) < 3:
        return replace(scan, view_s=acquisition.frame_ms / 1000)
    main, lower, upper = (high - low for low, high in map(window_kev, acquisition.energy_windows))
    return with_scatter(scan, triple_energy_window(main, windows[1], lower, windows[2], upper))
