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
from core.imaging.phantom.quality import (
    heart_for_review,
    pet_spheres,
    points,
    rods_and_spheres,
    torso_with_heart,
    uniform_cylinder,
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
    "BY_NAME",
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
    "heart_for_review",
    "heart_spect",
    "lung_perfusion",
    "parathyroid",
    "pet_slices",
    "pet_spheres",
    "points",
    "renogram",
    "rods_and_spheres",
    "sentinel_node",
    "thyroid",
    "torso_with_heart",
    "uniform_cylinder",
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

BY_NAME: Mapping[str, tuple[Callable[[np.random.Generator], Phantom], str]] = MappingProxyType(
    {
        "bone-whole-body": (bone_whole_body, "MDP"),
        "bone-spots": (bone_spots, "MDP"),
        "bone-three-phase": (bone_three_phase, "MDP"),
        "thyroid": (thyroid, "TCO4"),
        "parathyroid": (parathyroid, "MIBI"),
        "renogram": (renogram, "MAG3"),
        "dmsa": (dmsa, "DMSA"),
        "lung-perfusion": (lung_perfusion, "MAA"),
        "heart-spect": (heart_spect, "MIBI"),
        "gated-heart-spect": (gated_heart_spect, "MIBI"),
        "gated-blood-pool": (gated_blood_pool, "RBC"),
        "sentinel-node": (sentinel_node, "COLLOID"),
        "flood": (flood, "CO57"),
        "pet": (pet_slices, "FDG"),
        "ct": (ct_slices, "FDG"),
        "petct": (_petct, "FDG"),
        "uniform-cylinder": (uniform_cylinder, "TCO4"),
        "rods-and-spheres": (rods_and_spheres, "TCO4"),
        "points": (points, "TCO4"),
        "torso-with-heart": (torso_with_heart, "MIBI"),
        "heart-for-review": (heart_for_review, "MIBI"),
        "pet-spheres": (pet_spheres, "FDG"),
    }
)
"""Every phantom by its name, with the product (`core.dicom.tracers.TRACERS`) that is in it."""
