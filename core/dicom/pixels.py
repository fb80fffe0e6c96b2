"""Decode pixels into frames a screen can draw and a person can measure.

Values come out as the object means them (slope and intercept applied), colour as red, green, blue. Only the frames
asked for are decoded. There is one error, `Undecodable`, and it says what to do.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from core.dicom import rescaling
from core.dicom.codecs import jpeg
from core.dicom.frames import MANY, image_type, vector
from core.errors import Refused
from core.imaging.frames import Frames
from core.imaging.window import Window

jpeg.introduce()

Source = Path | str | bytes | Dataset

LARGEST_VALUES = 512_000_000
"""Pixels decoded at once: a larger claim is refused before memory is asked for."""


class Undecodable(Refused, ValueError):
    """The object has no pixels that can be shown here; the text says why and what to do."""


def frames_of(source: Source, wanted: Sequence[int] | None = None) -> Frames:
    """Decode an object's frames, or only those `wanted` (counted from 0).

    Parameters
    ----------
    source
        A file, its bytes, or a Dataset. From a file of many frames only those wanted are read.
    wanted
        Frame numbers, each below the object's number of frames; None means all.

    Raises
    ------
    Undecodable
        There are no pixels, their description contradicts itself, or no decoder for their transfer syntax is installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of a stranger's padding and lengths; the pixels decide
            return _decoded(source, wanted)
    except Undecodable:
        raise
    except Exception as error:
        raise Undecodable(f"the pixels cannot be decoded, {_reason(error)}; {_ADVICE}") from error


_ADVICE = "the object is kept as it came; look at it with another viewer or ask its device to send it uncompressed"


def _decoded(source: Source, wanted: Sequence[int] | None) -> Frames:
    header = _header(source)
    total = _described(header)
    chosen = tuple(range(total)) if wanted is None else tuple(wanted)
    if not chosen or not all(0 <= index < total for index in chosen):
        raise Undecodable(f"there is no such frame; the object has {total}, counted from 0")
    _affordable(header, len(chosen))
    _can_decode(header)
    stored = _stored(source, header, total, chosen)
    array, colour = _meant(stored, header, chosen)
    labels = labels_of(header, total)
    return Frames(
        array=array,
        spacing_mm=_spacing(header),
        labels=tuple(labels[index] for index in chosen),
        window=None if colour else _window(header),
        modality=str(header.get("Modality") or ""),
        unit="" if colour else rescaling.rescale_of(header, chosen[0]).unit,
        inverted=not colour and header.PhotometricInterpretation == "MONOCHROME1",
        indices=chosen,
        total=total,
        frame_ms=_frame_ms(header),
    )


def read_header(path: Path) -> Dataset:
    """Read all of an object but its pixels; what pydicom warns of is passed over.

    Raises
    ------
    Undecodable
        It is no DICOM object, or cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _header(path)
    except Undecodable:
        raise
    except Exception as error:
        raise Undecodable(f"the object cannot be read, {_reason(error)}; {_ADVICE}") from error


def _header(source: Source) -> Dataset:
    if isinstance(source, Dataset):
        return source
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        return pydicom.dcmread(stream, stop_before_pixels=True, force=True)
    except OSError as error:
        raise Undecodable(f"the file cannot be read ({error.strerror}); check that its store is there") from error


def _described(header: Dataset) -> int:
    """Check that the object describes pixels at all; give its number of frames."""
    missing = [name for name in ("Rows", "Columns", "BitsAllocated") if not header.get(name)]
    if missing:
        raise Undecodable(
            f"the object has no picture ({', '.join(missing)} absent): it is a document, a report or a plan"
        )
    if not header.get("PhotometricInterpretation"):
        header.PhotometricInterpretation = "RGB" if header.get("SamplesPerPixel") == 3 else "MONOCHROME2"  # noqa: PLR2004
    try:
        frames = max(1, int(header.get("NumberOfFrames") or 1))
    except (TypeError, ValueError):
        return 1
    if frames > MANY:
        raise Undecodable(f"the object claims {frames} frames, too much for any: its Number of Frames is broken")
    return frames


def _affordable(header: Dataset, frames: int) -> None:
    values = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel") or 1) * frames
    if values > LARGEST_VALUES:
        raise Undecodable(f"{frames} frames are too much at once; ask for fewer")


def _syntax(header: Dataset) -> UID:
    meta = getattr(header, "file_meta", None)
    syntax = meta.get("TransferSyntaxUID") if meta is not None else None
    if not syntax:
        return UID("1.2.840.10008.1.2" if header.original_encoding[0] else "1.2.840.10008.1.2.1")
    return UID(syntax)


def _can_decode(header: Dataset) -> None:
    syntax = _syntax(header)
    if not syntax.is_compressed:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise Undecodable(f"transfer syntax {syntax.name} holds no still images; {_ADVICE}") from None
    if not decoder.is_available:
        needed = ", ".join(sorted({lacking.split(" - ")[0] for lacking in decoder.missing_dependencies}))
        raise Undecodable(f"no decoder for {syntax.name} is installed; install one of {needed}; {_ADVICE}")


def _stored(source: Source, header: Dataset, total: int, chosen: tuple[int, ...]) -> NDArray[Any]:
    """Decode the stored values: (frame, row, column) or (frame, row, column, 3)."""
    whole = len(chosen) == total
    if isinstance(source, Dataset) or not _reads_by_frame(source, header):
        dataset = source if isinstance(source, Dataset) else _whole_object(source, header)
        parts = (
            [pixel_array(_with_syntax(dataset, header))]
            if whole
            else [pixel_array(_with_syntax(dataset, header), index=index) for index in chosen]
        )
    else:
        parts = (
            [pixel_array(_opened(source))] if whole else [pixel_array(_opened(source), index=index) for index in chosen]
        )
    flat = 3 if _samples(header) > 1 else 2
    found = np.concatenate([part if part.ndim > flat else part[None] for part in parts])
    return found[list(chosen)] if whole and chosen != tuple(range(total)) else found


def _reads_by_frame(source: Source, header: Dataset) -> bool:
    """Whether pydicom can go to a frame in the file: it has its meta header and is not deflated as a whole."""
    named = bool(getattr(header, "file_meta", {}).get("TransferSyntaxUID"))
    return named and not isinstance(source, Dataset) and not _syntax(header).is_deflated


def _opened(source: Source) -> Path | io.BytesIO:
    return io.BytesIO(source) if isinstance(source, bytes) else Path(str(source))


def _whole_object(source: Source, header: Dataset) -> Dataset:
    whole = pydicom.dcmread(_opened(source), force=True)
    whole.PhotometricInterpretation = header.PhotometricInterpretation
    return whole


def _with_syntax(dataset: Dataset, header: Dataset) -> Dataset:
    """A dataset without its file meta (a C-STORE's, an old file's) is decoded by the encoding it was read with."""
    meta = getattr(dataset, "file_meta", None)
    if meta is not None and meta.get("TransferSyntaxUID"):
        return dataset
    named = Dataset()
    named.update(dataset)
    named.file_meta = pydicom.dataset.FileMetaDataset()
    named.file_meta.TransferSyntaxUID = _syntax(header)
    return named


def _meant(stored: NDArray[Any], header: Dataset, chosen: tuple[int, ...]) -> tuple[NDArray[Any], bool]:
    """Turn stored values into what they mean; tells whether that is colour."""
    if str(header.PhotometricInterpretation) == "PALETTE COLOR":
        return _eight_bits(apply_color_lut(stored, header), None), True
    if _samples(header) > 1:
        return _eight_bits(stored[..., :3], int(header.get("BitsStored") or 8)), True
    if header.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, header).astype(np.float32), False
    return _rescaled(stored, header, chosen), False


def _rescaled(stored: NDArray[Any], header: Dataset, chosen: tuple[int, ...]) -> NDArray[Any]:
    """Turn stored values into what they stand for; numbers that stand for themselves stay as they are."""
    if not rescaling.varies(header):
        scale = rescaling.rescale_of(header)
        return stored if scale.plain else scale.values(stored)
    scales = [rescaling.rescale_of(header, frame) for frame in chosen]
    if all(scale.plain for scale in scales):
        return stored
    return np.stack([scale.values(values) for scale, values in zip(scales, stored, strict=True)])


def _eight_bits(colours: NDArray[Any], bits: int | None) -> NDArray[np.uint8]:
    if colours.dtype == np.uint8 and bits in (None, 8):
        return colours
    top = np.iinfo(colours.dtype).max if bits is None else 2**bits - 1
    return (colours.astype(np.float32) * (255 / top)).clip(0, 255).astype(np.uint8)


def labels_of(header: Dataset, total: int) -> tuple[str, ...]:
    """A few words for each frame, as the object's vectors tell: view, energy window, phase, slot, angle, slice."""
    names = (
        ("DetectorVector", _view_names(header)),
        ("EnergyWindowVector", _energy_names(header)),
        ("PhaseVector", "phase"),
        ("TimeSliceVector", "frame"),
        ("RRIntervalVector", "R-R"),
        ("TimeSlotVector", "slot"),
        ("AngularViewVector", "view"),
        ("SliceVector", "slice"),
    )
    words: list[list[str]] = [[] for _ in range(total)]
    for name, meaning in names:
        indices = vector(header, name)
        many = len(set(indices)) > 1 or isinstance(meaning, dict)
        if len(indices) == total and many:
            for frame, index in enumerate(indices):
                words[frame].append(meaning.get(index, "") if isinstance(meaning, dict) else f"{meaning} {index}")
    return tuple(" ".join(filter(None, parts)) for parts in words)


def _view_names(header: Dataset) -> dict[int, str]:
    """Detector number to the name of its view: by its code, else by where it stands, else its number."""
    detectors = _items(header, "DetectorInformationSequence")
    tomographic = "TOMO" in image_type(header)
    return {
        number: ""
        if tomographic and len(detectors) == 1
        else (f"detector {number}" if tomographic else _view_name(item, number))
        for number, item in enumerate(detectors, 1)
    }


def _view_name(detector: Dataset, number: int) -> str:
    codes = _items(detector, "ViewCodeSequence")
    meaning = str(codes[0].get("CodeMeaning") or "") if codes else ""
    meaning = meaning.removesuffix(" projection").strip()
    if meaning:
        return meaning[0].upper() + meaning[1:]
    return f"detector {number}"


def _energy_names(header: Dataset) -> dict[int, str]:
    """Energy window number to its name; nothing where there is only one."""
    windows = _items(header, "EnergyWindowInformationSequence")
    if len(windows) < 2:  # noqa: PLR2004 - one needs no name
        return {}
    return {number: str(item.get("EnergyWindowName") or f"energy {number}") for number, item in enumerate(windows, 1)}


def _items(header: Dataset, name: str) -> list[Dataset]:
    value = header.get(name)
    return list(value) if value else []


def _samples(header: Dataset) -> int:
    return int(header.get("SamplesPerPixel") or 1)


def _spacing(header: Dataset) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = _numbers(header, name)
        if len(values) == 2 and min(values) > 0:  # noqa: PLR2004 - row, column
            return values[0], values[1]
    return None


def _window(header: Dataset) -> Window | None:
    centres, widths = _numbers(header, "WindowCenter"), _numbers(header, "WindowWidth")
    return Window.centred(centres[0], widths[0]) if centres and widths and widths[0] > 0 else None


def _frame_ms(header: Dataset) -> float | None:
    """How long one frame shows in a cine: by the object's own time, else by its first phase."""
    own = _numbers(header, "FrameTime") or _numbers(header, "ActualFrameDuration")
    phases = _items(header, "PhaseInformationSequence")
    if phases:
        own = _numbers(phases[0], "ActualFrameDuration") or own
    return own[0] if own and own[0] > 0 else None


def _numbers(header: Dataset, name: str) -> list[float]:
    """Read finite numbers; what is none is left out."""
    try:
        value = header.get(name)
    except ValueError:
        return []
    listed = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    numbers = []
    for one in listed:
        try:
            number = float(one)
        except (TypeError, ValueError):
            continue
        if np.isfinite(number):
            numbers.append(number)
    return numbers


def _reason(error: Exception) -> str:
    """What a decoder said, in few words and without what it may quote of the object's values."""
    if isinstance(error, RuntimeError) and "plugins" in str(error):
        return "none of the installed decoders can read this kind"
    if "reshape" in str(error) or "shorter" in str(error) or "length of the pixel data" in str(error):
        return "they are cut short"
    return f"their description is broken ({type(error).__name__})"
