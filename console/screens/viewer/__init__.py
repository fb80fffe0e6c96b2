"""The viewer: what an exam's images show, drawn by the service at this terminal's size."""

from __future__ import annotations

from console.screens.viewer.page import Viewer

__all__ = ["Viewer"]
