"""Write pictures as Multi-frame Secondary Capture (PS3.3 A.8.4, A.8.5): true colour or gray, 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
)

from core.dicom.elements import text
from core.dicom.volumes.made import Made, UidMaker, begun, derived, put_pixels
from core.errors import Refused


def secondary_capture(rgb: NDArray[np.uint8], like: Dataset, made: Made, new_uid: UidMaker) -> Dataset:
    """Return a Secondary Capture of pictures.

    Parameters
    ----------
    rgb
        (frame, row, column, 3) red, green, blue, or (frame, row, column) gray.

    Raises
    ------
    Refused
        It is no such array.
    """
    gray = rgb.ndim == 3  # noqa: PLR2004 - (frame, row, column)
    if rgb.dtype != np.uint8 or not (gray or (rgb.ndim == 4 and rgb.shape[3] == 3)) or not rgb.size:  # noqa: PLR2004
        raise Refused(f"pictures are (frame, row, column, 3) or (frame, row, column) of 8 bits, not {rgb.shape}")
    kind = (
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage if gray else MultiFrameTrueColorSecondaryCaptureImageStorage
    )
    out = begun(kind, like, made, new_uid, text(like, "Modality") or "OT")
    out.ImageType = ["DERIVED", "SECONDARY"]
    out.ConversionType = "WSD"
    out.PatientOrientation = ""
    out.BurnedInAnnotation = "NO"
    derived(out, made)
    put_pixels(out, rgb)
    out.NumberOfFrames = len(rgb)
    if len(rgb) > 1:
        out.PageNumberVector = list(range(1, len(rgb) + 1))
        out.FrameIncrementPointer = Tag("PageNumberVector")
    if gray:
        out.PresentationLUTShape = "IDENTITY"
        out.RescaleIntercept, out.RescaleSlope, out.RescaleType = "0", "1", "US"
    return out
