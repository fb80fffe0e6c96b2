"""The table of recipes: what each takes, and what can be chosen.

One line a parameter. Forms, checks of what is asked for and the manual read the same table; the pipelines find every
parameter present and of its kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from core.errors import Invalid
from core.imaging.palettes import CHOICES
from core.vocabulary import Recipe

Value: TypeAlias = bool | float | str
Values: TypeAlias = dict[str, Value]
Kind = Literal["number", "choice", "flag", "text"]

FBP, OSEM, MLEM, MAP = "fbp", "osem", "mlem", "map"
WINDOWS = ["hann", "hamming", "butterworth", "shepp_logan", "parzen", "cosine", "metz", "ramp"]
POTENTIALS = ["log_cosh", "relative_difference", "huber", "quadratic"]
NUDGES = ("nudge_x_mm", "nudge_y_mm", "nudge_z_mm", "nudge_turn_x_deg", "nudge_turn_y_deg", "nudge_turn_z_deg")
NYQUIST, PER_CM = "nyquist", "cycles/cm"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One number or choice; `depends_on` names other parameters and their values with which it is used."""

    name: str
    label: str
    kind: Kind
    default: Value
    unit: str = ""
    choices: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    depends_on: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    group: str = ""
    help: str = ""

    def checked(self, value: Value) -> Value:
        """Return a value of this parameter's kind.

        Raises
        ------
        Invalid
            It is none.
        """
        if self.kind == "choice" and value not in self.choices:
            raise Invalid(f"{self.name} is one of {', '.join(self.choices)}, not '{value}'")
        if self.kind == "flag" and not isinstance(value, bool):
            raise Invalid(f"{self.name} is true or false, not '{value}'")
        if self.kind == "number":
            return self._number(value)
        return value if isinstance(value, bool) else str(value)

    def _number(self, value: Value) -> float:
        if isinstance(value, (bool, str)):
            raise Invalid(f"{self.name} is a number, not '{value}'")
        low, high = self.lowest, self.highest
        if (low is not None and value < low) or (high is not None and value > high):
            raise Invalid(f"{self.name} runs from {low:g} to {high:g} {self.unit}".rstrip() + f": {value:g} is outside")
        return float(value)


@dataclass(frozen=True, slots=True)
class Form:
    """A recipe as it is offered."""

    recipe: Recipe
    title: str
    takes: str
    parameters: tuple[Parameter, ...]
    needs_over: bool = False

    def values(self, given: Mapping[str, Value], before: Mapping[str, Value] | None = None) -> Values:
        """Return all parameters: those given, else those of before, else the usual ones.

        Raises
        ------
        Invalid
            A name the recipe does not have, or a value that is none of the parameter's.
        """
        known = {one.name: one for one in self.parameters}
        for name in given:
            if name not in known:
                raise Invalid(f"{self.recipe} has no parameter '{name}': use {', '.join(known)}")
        former = before or {}
        return {name: one.checked(given.get(name, former.get(name, one.default))) for name, one in known.items()}


def _number(  # noqa: PLR0913 - a line of a table
    name: str, label: str, default: float, low: float, high: float, unit: str = "", *, group: str = "",
    when: Mapping[str, tuple[Value, ...]] | None = None, help_: str = "",
) -> Parameter:  # fmt: skip
    return Parameter(name, label, "number", default, unit, (), low, high, when or {}, group, help_)


def _choice(
    name: str, label: str, choices: list[str], *, group: str = "", when: Mapping[str, tuple[Value, ...]] | None = None,
    help_: str = "",
) -> Parameter:  # fmt: skip
    return Parameter(name, label, "choice", choices[0], "", tuple(choices), None, None, when or {}, group, help_)


def _flag(
    name: str, label: str, *, default: bool = False, group: str = "",
    when: Mapping[str, tuple[Value, ...]] | None = None, help_: str = "",
) -> Parameter:  # fmt: skip
    return Parameter(name, label, "flag", default, "", (), None, None, when or {}, group, help_)


_ITERATIVE: dict[str, tuple[Value, ...]] = {"method": (OSEM, MLEM, MAP)}
_SUBSETS: dict[str, tuple[Value, ...]] = {"method": (OSEM, MAP)}
_BAYES: dict[str, tuple[Value, ...]] = {"method": (MAP,)}
_FILTERED: dict[str, tuple[Value, ...]] = {"method": (FBP,)}
_SMOOTHED: dict[str, tuple[Value, ...]] = {"post_filter": ("butterworth", "hann", "hamming", "metz")}
_AXES: dict[str, tuple[Value, ...]] = {"heart_axes": (True,)}

_NUDGES = (
    _number("nudge_x_mm", "Move left", 0, -300, 300, "mm", group="by hand"),
    _number("nudge_y_mm", "Move back", 0, -300, 300, "mm", group="by hand"),
    _number("nudge_z_mm", "Move up", 0, -300, 300, "mm", group="by hand"),
    _number("nudge_turn_x_deg", "Turn about x", 0, -180, 180, "deg", group="by hand"),
    _number("nudge_turn_y_deg", "Turn about y", 0, -180, 180, "deg", group="by hand"),
    _number("nudge_turn_z_deg", "Turn about z", 0, -180, 180, "deg", group="by hand"),
)

SPECT = Form(
    Recipe.SPECT, "SPECT reconstruction", "NM TOMO or GATED TOMO projections",
    (
        _flag("decay", "Correct for decay", default=True, group="corrections"),
        _flag("uniformity", "Correct uniformity by the flood named", group="corrections",
              help_="the flood is the other image: a STATIC NM object of the same detector and matrix"),
        _choice("centre", "Centre of rotation", ["camera", "found", "given"], group="corrections",
                help_="camera: the middle of the detector; found: from the sinogram, over 360 degrees alone"),
        _number("centre_bins", "Centre of rotation", 0, -20, 20, "bins from the middle", group="corrections",
                when={"centre": ("given",)}),
        _flag("motion", "Put motion right", group="corrections"),
        _choice("scatter", "Scatter", ["none", "tew"], group="corrections",
                help_="tew: from the windows beside the main one"),
        _choice("method", "Method", [FBP, OSEM, MLEM, MAP], group="reconstruction"),
        _choice("filter", "Filter", WINDOWS, group="reconstruction", when=_FILTERED),
        _number("cut_off", "Cut-off", 0.8, 0.01, 5, group="reconstruction", when=_FILTERED),
        _choice("cut_off_unit", "Cut-off is in", [NYQUIST, PER_CM], group="reconstruction", when=_FILTERED),
        _number("order", "Order n of 1/sqrt(1+(f/fc)^2n)", 5, 0.5, 50, group="reconstruction",
                when={"method": (FBP,), "filter": ("butterworth",)}, help_="a vendor's power p is 2n"),
        _number("metz_power", "Power of the Metz filter", 3, 0.1, 50, group="reconstruction",
                when={"method": (FBP,), "filter": ("metz",)}),
        _number("metz_fwhm_mm", "Width the Metz filter restores", 10, 0.1, 100, "mm", group="reconstruction",
                when={"method": (FBP,), "filter": ("metz",)}),
        _number("iterations", "Iterations", 4, 1, 200, group="reconstruction", when=_ITERATIVE),
        _number("subsets", "Subsets", 8, 1, 60, group="reconstruction", when=_SUBSETS),
        _choice("prior", "Prior", POTENTIALS, group="reconstruction", when=_BAYES),
        _number("beta", "Strength of the prior", 0.3, 0, 100, group="reconstruction", when=_BAYES),
        _number("edge", "Edge of the prior", 0.1, 0.0001, 1000, group="reconstruction",
                when={"method": (MAP,), "prior": ("log_cosh", "relative_difference", "huber")}),
        _flag("one_step_late", "One step late instead of De Pierro", group="reconstruction", when=_BAYES),
        _choice("attenuation", "Attenuation", ["none", "uniform", "ct"], group="reconstruction",
                help_="with FBP by Chang's factors; ct: from the CT that is the other image"),
        _number("mu_per_cm", "Attenuation of water (0: the isotope's)", 0, 0, 1, "1/cm", group="reconstruction",
                when={"attenuation": ("uniform", "ct")}),
        _number("outline", "Outline at this part of the maximum", 0.08, 0.01, 0.9, group="reconstruction",
                when={"attenuation": ("uniform",)}),
        _flag("resolution", "Model the resolution by depth", group="reconstruction", when=_ITERATIVE),
        _number("intrinsic_mm", "Resolution of the crystal", 3.8, 0, 20, "mm FWHM", group="reconstruction",
                when={"method": (OSEM, MLEM, MAP), "resolution": (True,)}),
        _number("collimator_slope", "Widening by distance", 0.05, 0, 0.5, group="reconstruction",
                when={"method": (OSEM, MLEM, MAP), "resolution": (True,)}),
        _choice("post_filter", "Smoothing", ["none", "gaussian", "butterworth", "hann", "hamming", "metz"],
                group="smoothing"),
        _number("post_fwhm_mm", "Width", 8, 0.1, 60, "mm FWHM", group="smoothing",
                when={"post_filter": ("gaussian", "metz")}),
        _number("post_cut_off", "Cut-off", 0.5, 0.01, 5, group="smoothing", when=_SMOOTHED),
        _choice("post_cut_off_unit", "Cut-off is in", [NYQUIST, PER_CM], group="smoothing", when=_SMOOTHED),
        _number("post_order", "Order n", 5, 0.5, 50, group="smoothing", when={"post_filter": ("butterworth",)}),
        _flag("heart_axes", "Short and long axis slices of the heart", group="heart"),
        _number("axis_x_mm", "Move the axis left", 0, -100, 100, "mm", group="heart", when=_AXES),
        _number("axis_y_mm", "Move the axis back", 0, -100, 100, "mm", group="heart", when=_AXES),
        _number("axis_z_mm", "Move the axis up", 0, -100, 100, "mm", group="heart", when=_AXES),
        _number("axis_turn_x_deg", "Turn the axis about x", 0, -180, 180, "deg", group="heart", when=_AXES),
        _number("axis_turn_y_deg", "Turn the axis about y", 0, -180, 180, "deg", group="heart", when=_AXES),
        _number("axis_turn_z_deg", "Turn the axis about z", 0, -180, 180, "deg", group="heart", when=_AXES),
    ),
)  # fmt: skip

COREGISTER = Form(
    Recipe.COREGISTER, "Coregistration", "the image that stays; the other one is laid on it",
    (
        _choice("method", "Method", ["mutual_information", "contours", "mass", "position"], group="method",
                help_="mass: both centres of mass; position: as the objects say, or the registration that is stored"),
        _choice("start", "Begin from", ["best", "position", "mass"], group="method",
                when={"method": ("mutual_information", "contours")}),
        _number("level", "Surface of the first at this part of its maximum", 0.2, 0.01, 0.95, group="method",
                when={"method": ("contours",)}),
        _number("level_over", "Surface of the other at this part of its maximum", 0.2, 0.01, 0.95, group="method",
                when={"method": ("contours",)}),
        _flag("check", "Tell how far there and back are apart", group="method",
              when={"method": ("mutual_information",)}),
        _flag("resample", "File the other image on the grid of the first", default=True, group="result"),
        *_NUDGES,
    ),
    needs_over=True,
)  # fmt: skip

FUSE = Form(
    Recipe.FUSE, "Fusion", "the image whose grid is used; the other is laid on it by the registration that is filed",
    (
        _choice("method", "Method", ["alpha", "wavelet"], group="method"),
        _number("share", "Share of the other image", 0.5, 0, 1, group="method"),
        Parameter("wavelet", "Wavelet", "choice", "db2", "", ("haar", "db2", "db4", "sym4", "bior2.2", "coif1"),
                  depends_on={"method": ("wavelet",)}, group="method"),
        _number("levels", "Levels", 3, 1, 6, group="method", when={"method": ("wavelet",)}),
        _choice("detail", "Details", ["max_abs", "mean"], group="method", when={"method": ("wavelet",)}),
        Parameter("map", "Colours of the first", "choice", "gray", "", CHOICES, group="look"),
        Parameter("over_map", "Colours of the other", "choice", "hot_iron", "", CHOICES, group="look"),
        _choice("plane", "Slices", ["axial", "coronal", "sagittal"], group="look"),
    ),
    needs_over=True,
)  # fmt: skip

LESION = Form(
    Recipe.LESION, "Lesion", "slices: NM, PT or CT; the other image is the examination before",
    (
        _choice("method", "Method", ["threshold", "edge", "grow"], group="region"),
        _number("x_mm", "Seed, left", 0, -2000, 2000, "mm", group="region"),
        _number("y_mm", "Seed, back", 0, -2000, 2000, "mm", group="region"),
        _number("z_mm", "Seed, head", 0, -5000, 5000, "mm", group="region"),
        _flag("hottest", "Seed at the hottest place", group="region"),
        _number("fraction", "Part of the maximum", 0.41, 0.05, 0.95, group="region", when={"method": ("threshold",)}),
        _number("tolerance", "Spread accepted", 2.5, 0.1, 20, "SD", group="region", when={"method": ("grow",)}),
        _number("fwhm_mm", "Resolution of the image", 10, 0.1, 60, "mm FWHM", group="region"),
        Parameter("label", "Name of the region", "text", "Lesion", group="region"),
    ),
)  # fmt: skip

FORMS: dict[Recipe, Form] = {one.recipe: one for one in (SPECT, COREGISTER, FUSE, LESION)}


def form_of(recipe: str) -> Form:
    """Return a recipe.

    Raises
    ------
    Invalid
        There is none of that name.
    """
    if recipe not in FORMS:
        raise Invalid(f"there is no recipe '{recipe}': use {', '.join(FORMS)}")
    return FORMS[Recipe(recipe)]
