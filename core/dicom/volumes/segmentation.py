"""Write regions as a Segmentation object (PS3.3 A.51, C.8.20): one binary segment for each, empty slices left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage

from core.dicom.charset import charset_of, fit_text
from core.dicom.elements import text, texts
from core.dicom.volumes.made import Made, UidMaker, begun, code, decimal, decimals, frame_of_reference, reference
from core.errors import Refused
from core.imaging.volume import Volume

Mask = NDArray[np.bool_]


def segmentation(masks: Mapping[str, Mask], volume: Volume, like: Dataset, made: Made, new_uid: UidMaker) -> Dataset:
    """Return a Segmentation object of regions, each named, (slice, row, column) in the volume's grid.

    Raises
    ------
    Refused
        There is no region, one is empty, or one has another grid than the volume.
    """
    for name, mask in masks.items():
        if mask.shape != volume.grid:
            raise Refused(f"the region {name} has the grid {mask.shape}, the image {volume.grid}")
        if not mask.any():
            raise Refused(f"the region {name} is empty")
    if not masks:
        raise Refused("there is no region to write")
    out = begun(SegmentationStorage, like, made, new_uid, "SEG")
    out.pop("Laterality", None)  # of a multi-frame object the frames say it
    charset = charset_of(texts(out, "SpecificCharacterSet"))
    out.ImageType = ["DERIVED", "PRIMARY"]
    out.ContentLabel, out.ContentDescription = "REGIONS", fit_text(made.said, charset)[:64]
    out.ContentCreatorName = ""
    out.FrameOfReferenceUID = frame_of_reference(volume, like)
    out.PositionReferenceIndicator = ""
    out.SegmentationType, out.LossyImageCompression = "BINARY", "00"
    out.SegmentSequence = [_segment(number, fit_text(name, charset)[:64], made) for number, name in enumerate(masks, 1)]
    _put_dimensions(out, new_uid)
    out.SharedFunctionalGroupsSequence = [_shared(volume)]
    shown = [(n, int(k)) for n, mask in enumerate(masks.values(), 1) for k in np.flatnonzero(mask.any(axis=(1, 2)))]
    heights = {k: place for place, k in enumerate(sorted({k for _, k in shown}), 1)}
    out.PerFrameFunctionalGroupsSequence = [_frame(volume, n, k, heights[k], made) for n, k in shown]
    _put_bits(out, np.stack([list(masks.values())[n - 1][k] for n, k in shown]))
    if made.inputs:
        out.ReferencedSeriesSequence = list(_referenced(like, made))
    return out


def _segment(number: int, label: str, made: Made) -> Dataset:
    out = Dataset()
    out.SegmentNumber, out.SegmentLabel = number, label
    out.SegmentedPropertyCategoryCodeSequence = [code(codes.SCT.MorphologicallyAbnormalStructure)]
    out.SegmentedPropertyTypeCodeSequence = [code(codes.SCT.Lesion)]
    out.SegmentAlgorithmType = "SEMIAUTOMATIC"
    out.SegmentAlgorithmName = made.said[:64]
    return out


def _put_dimensions(out: Dataset, new_uid: UidMaker) -> None:
    """Say that frames count by segment, then by place (PS3.3 C.7.6.17)."""
    organization = Dataset()
    organization.DimensionOrganizationUID = new_uid()
    out.DimensionOrganizationSequence = [organization]
    out.DimensionIndexSequence = []
    for pointer, group in (
        ("ReferencedSegmentNumber", "SegmentIdentificationSequence"),
        ("ImagePositionPatient", "PlanePositionSequence"),
    ):
        index = Dataset()
        index.DimensionIndexPointer, index.FunctionalGroupPointer = Tag(pointer), Tag(group)
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        out.DimensionIndexSequence.append(index)


def _shared(volume: Volume) -> Dataset:
    step_mm, row_mm, column_mm = volume.voxel_mm
    measures, orientation, out = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = decimals((row_mm, column_mm))
    measures.SliceThickness = measures.SpacingBetweenSlices = decimal(step_mm)
    directions = np.concatenate((volume.affine[:3, 0] / column_mm, volume.affine[:3, 1] / row_mm))
    orientation.ImageOrientationPatient = decimals(directions)
    out.PixelMeasuresSequence, out.PlaneOrientationSequence = [measures], [orientation]
    return out


def _frame(volume: Volume, segment: int, slice_: int, height: int, made: Made) -> Dataset:
    content, place, which, derivation, out = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [segment, height]
    place.ImagePositionPatient = decimals(volume.points(np.asarray((slice_, 0.0, 0.0))))
    which.ReferencedSegmentNumber = segment
    derivation.DerivationDescription = made.said
    derivation.DerivationCodeSequence = [code(codes.DCM.SegmentationImageDerivation)]
    derivation.SourceImageSequence = [
        reference(*one, codes.DCM.SourceImageForImageProcessingOperation) for one in made.inputs
    ]
    out.FrameContentSequence, out.PlanePositionSequence = [content], [place]
    out.SegmentIdentificationSequence, out.DerivationImageSequence = [which], [derivation]
    return out


def _put_bits(out: Dataset, frames: Mask) -> None:
    """Put in frames of one bit a pixel, the first in the lowest bit, without a gap between frames (PS3.5 8.1.1)."""
    out.SamplesPerPixel, out.PhotometricInterpretation = 1, "MONOCHROME2"
    out.NumberOfFrames = len(frames)
    out.Rows, out.Columns = frames.shape[1:]
    out.BitsAllocated = out.BitsStored = 1
    out.HighBit = out.PixelRepresentation = 0
    data = np.packbits(frames.ravel(), bitorder="little").tobytes()
    out.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))


def _referenced(like: Dataset, made: Made) -> Iterator[Dataset]:
    series = Dataset()
    series.SeriesInstanceUID = text(like, "SeriesInstanceUID")
    series.ReferencedInstanceSequence = [reference(*one) for one in made.inputs]
    yield series
