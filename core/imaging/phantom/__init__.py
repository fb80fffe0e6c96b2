"""Made-up studies of known truth, counted with Poisson noise: what the simulated camera sends and what tests measure.

Every maker takes a numpy Generator and gives a `Phantom`: acquisitions as a camera hands them over, and the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from core.imaging.acquisition import Phantom
from core.imaging.phantom.dynamic import Kidney, gated_blood_pool, renogram
from core.imaging.phantom.planar import (
    bone_spots,
    bone_three_phase,
    bone_whole_body,
    dmsa,
    flood,
    parathyroid,
    sentinel_node,
    thyroid,
)
from core.imaging.phantom.skeleton import Lesion
from core.imaging.phantom.tomographic import (
    Defect,
    ct_slices,
    gated_heart_spect,
    heart_spect,
    lung_perfusion,
    pet_slices,
)

__all__ = [
    "OF_PROCEDURE",
    "Defect",
    "Kidney",
    "Lesion",
    "bone_spots",
    "bone_three_phase",
    "bone_whole_body",
    "ct_slices",
    "dmsa",
    "flood",
    "gated_blood_pool",
    "gated_heart_spect",
    "heart_spect",
    "lung_perfusion",
    "parathyroid",
    "pet_slices",
    "renogram",
    "sentinel_node",
    "thyroid",
]


def _petct(rng: np.random.Generator) -> Phantom:
    pet = pet_slices(rng)
    return Phantom(ct_slices(rng).acquisitions + pet.acquisitions, pet.truth)


def _rest(rng: np.random.Generator) -> Phantom:
    return heart_spect(rng, rest=True)


OF_PROCEDURE: Mapping[str, Callable[[np.random.Generator], Phantom]] = MappingProxyType(
    {
        "BONE-WB": bone_whole_body,
        "BONE-3P": bone_three_phase,
        "THYROID": thyroid,
        "PARATHYROID": parathyroid,
        "RENO-DTPA": renogram,
        "RENO-MAG3": renogram,
        "DMSA": dmsa,
        "LUNG-PERF": lung_perfusion,
        "LUNG-VQ": lung_perfusion,
        "MPI-STRESS": heart_spect,
        "MPI-REST": _rest,
        "MPI-GATED": gated_heart_spect,
        "MUGA": gated_blood_pool,
        "SLN": sentinel_node,
        "PET-FDG": pet_slices,
        "PETCT-FDG": _petct,
    }
)
"""What the camera of a made-up department acquires for each procedure of the catalogue that has images."""
