"""Rigid transforms: six numbers about a centre, and what can be said of two of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Points: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rigid:
    """Turns about `centre` by a rotation vector in degrees, then moves by millimetres."""

    turn_deg: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    move_mm: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros(3))

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(4, 4) on patient millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_rotvec(self.turn_deg, degrees=True).as_matrix()
        matrix[:3, 3] = self.centre + self.move_mm - matrix[:3, :3] @ self.centre
        return matrix

    @classmethod
    def from_matrix(cls, matrix: NDArray[np.float64], centre: NDArray[np.float64]) -> Rigid:
        """Return the six numbers of a rigid matrix about a centre."""
        turn = Rotation.from_matrix(matrix[:3, :3]).as_rotvec(degrees=True)
        return cls(turn, matrix[:3, :3] @ centre + matrix[:3, 3] - centre, centre)

    def apply(self, points: Points) -> Points:
        """Return where points, (..., 3), go."""
        matrix = self.matrix
        return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])

    def inverse(self) -> Rigid:
        """Return the way back, about the same centre."""
        return Rigid.from_matrix(np.asarray(np.linalg.inv(self.matrix), np.float64), self.centre)

    def nudged(self, turn_deg: tuple[float, float, float], move_mm: tuple[float, float, float]) -> Rigid:
        """Return this transform moved a little by hand: turned further about the centre, then moved."""
        more = Rotation.from_rotvec(turn_deg, degrees=True) * Rotation.from_rotvec(self.turn_deg, degrees=True)
        turned = np.asarray(more.as_rotvec(degrees=True), np.float64)
        return Rigid(turned, self.move_mm + np.asarray(move_mm), self.centre)


def apart_mm(one: Rigid, other: Rigid, points: Points) -> NDArray[np.float64]:
    """Return how far two transforms take each point apart: the target registration error, where one is true."""
    return np.asarray(np.linalg.norm(one.apply(points) - other.apply(points), axis=-1))
