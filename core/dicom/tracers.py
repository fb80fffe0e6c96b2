"""Codes of what is injected and of how a detector looks at it: nuclides, products, views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from core.imaging.acquisition import View

CodeTriple = tuple[str, str, str]
"""Code value, coding scheme, meaning (PS3.3 8.8)."""

VIEWS: Mapping[View, tuple[CodeTriple, float]] = MappingProxyType(
    {
        "ANT": (("399321004", "SCT", "Anterior projection"), 180.0),
        "POST": (("399001007", "SCT", "Posterior projection"), 0.0),
        "LAO": (("399074003", "SCT", "Left anterior oblique"), 135.0),
        "RAO": (("399108003", "SCT", "Right anterior oblique"), 225.0),
        "LPO": (("399136008", "SCT", "Left posterior oblique"), 45.0),
        "RPO": (("399075002", "SCT", "Right posterior oblique"), 315.0),
        "LLAT": (("399118008", "SCT", "Left lateral projection"), 90.0),
        "RLAT": (("399297009", "SCT", "Right lateral projection"), 270.0),
    }
)
"""CID 26, and where the detector stands: 0 at the back, counted towards the patient's left (PS3.3 C.8.4.11)."""


@dataclass(frozen=True, slots=True)
class Nuclide:
    """A radionuclide: its code (CID 18), half life, and the photopeak's window in keV."""

    code: CodeTriple
    half_life_s: float
    window_kev: tuple[float, float]
    positron_fraction: float | None = None


NUCLIDES: Mapping[str, Nuclide] = MappingProxyType(
    {
        "Tc99m": Nuclide(("72454006", "SCT", "^99m^Technetium"), 21_672.0, (126.5, 154.6)),
        "I131": Nuclide(("1368003", "SCT", "^131^Iodine"), 692_902.1, (327.6, 400.4)),
        "I123": Nuclide(("21572004", "SCT", "^123^Iodine"), 47_604.0, (143.1, 174.9)),
        "Tl201": Nuclide(("60057003", "SCT", "^201^Thallium"), 262_837.4, (63.0, 77.0)),
        "Co57": Nuclide(("32750006", "SCT", "^57^Cobalt"), 23_478_336.0, (109.8, 134.2)),
        "Ga67": Nuclide(("2008008", "SCT", "^67^Gallium"), 281_810.9, (83.7, 102.3)),
        "In111": Nuclide(("56609000", "SCT", "^111^Indium"), 242_326.1, (220.9, 269.9)),
        "Xe133": Nuclide(("80751004", "SCT", "^133^Xenon"), 453_384.0, (72.9, 89.1)),
        "Kr81m": Nuclide(("61716009", "SCT", "^81m^Krypton"), 13.1, (171.0, 209.0)),
        "Sm153": Nuclide(("419804008", "SCT", "^153^Samarium"), 166_622.4, (92.7, 113.3)),
        "Lu177": Nuclide(("447553000", "SCT", "^177^Lutetium"), 574_300.8, (187.6, 229.2)),
        "Ga68": Nuclide(("35337001", "SCT", "^68^Gallium"), 4_062.6, (435.0, 585.0), 0.8914),
        "C11": Nuclide(("40565003", "SCT", "^11^Carbon"), 1_221.8, (435.0, 585.0), 0.9976),
        "N13": Nuclide(("21576001", "SCT", "^13^Nitrogen"), 597.9, (435.0, 585.0), 0.998),
        "F18": Nuclide(("77004003", "SCT", "^18^Fluorine"), 6_586.2, (435.0, 585.0), 0.9673),
    }
)


SCATTER_KEV = 6.0
"""Width of a window set beside the photopeak's to estimate scatter (Ogawa 1991)."""


def window_kev(name: str) -> tuple[float, float]:
    """Return the limits of an energy window: a nuclide's photopeak, or what is `lower` or `upper` beside it."""
    nuclide, _, side = name.partition(" ")
    low, high = NUCLIDES[nuclide].window_kev
    return {"": (low, high), "lower": (low - SCATTER_KEV, low), "upper": (high, high + SCATTER_KEV)}[side]


@dataclass(frozen=True, slots=True)
class Tracer:
    """What was given: nuclide by its short name, product, activity in MBq at `injected_at`."""

    nuclide: str = "Tc99m"
    product: str = ""
    code: CodeTriple | None = None
    activity_mbq: float | None = None
    injected_at: datetime | None = None


def _tc(product: str, code: str, meaning: str, activity: float) -> Tracer:
    return Tracer("Tc99m", product, (code, "SCT", meaning), activity)


TRACERS: Mapping[str, Tracer] = MappingProxyType(
    {
        "MDP": _tc("MDP", "96390006", "Technetium Tc^99m^ medronate", 740),
        "TCO4": _tc("TcO4", "19495007", "Sodium pertechnetate Tc^99m^", 185),
        "MIBI": _tc("MIBI", "424299003", "Technetium Tc^99m^ sestamibi", 740),
        "MAG3": _tc("MAG3", "446536001", "Technetium^99m Mercaptoacetyl triglycine MAG3", 111),
        "DTPA": _tc("DTPA", "430276001", "Technetium Tc^99m^ pentetate", 185),
        "DMSA": _tc("DMSA", "24511001", "Technetium Tc^99m^ succimer", 111),
        "MAA": _tc("MAA", "85693008", "Technetium Tc^99m^ aggregated albumin", 148),
        "RBC": _tc("RBC", "89818005", "Technetium Tc^99m^ tagged red cells", 740),
        "COLLOID": _tc("Sulfur colloid", "5931004", "Technetium Tc^99m^ sulfur colloid", 37),
        "FDG": Tracer("F18", "FDG", ("35321007", "SCT", "Fluorodeoxyglucose F^18^"), 370),
        "CO57": Tracer("Co57", "Co-57 flood source"),
    }
)
"""Usual products by their short names, with a usual activity."""
