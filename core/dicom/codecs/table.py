"""The codecs: one table of what can be written, by which library, under which licence.

Each takes one frame and gives its compressed bytes; each is kept by others. Decoding is pydicom's, by its plugins and
`jpeg`; none of them may end the process on a frame it does not like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import uid
from pydicom.pixels.decoders.base import get_decoder
from rle.utils import encode_pixel_data

from core.dicom.codecs.raster import Shape
from core.errors import Refused

_GRAY, _COLOUR = 2, 1  # OpenJPEG's colour spaces
_PLANE = 2


@dataclass(frozen=True, slots=True)
class Loss:
    """How much a lossy codec may lose: bytes as they were over bytes as they become, or a signal-to-noise ratio."""

    ratio: float = 0.0
    psnr_db: float = 0.0

    def __str__(self) -> str:
        """Say it as a rule is written."""
        return f"{self.ratio:g}:1" if self.ratio else f"{self.psnr_db:g} dB"


Encode = Callable[[NDArray[Any], Shape, Loss], bytes]


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to write pixels: its name in rules, its transfer syntax, who made it; `encode` is None for datasets."""

    name: str
    syntax: str
    lossless: bool
    library: str
    licence: str
    available: bool
    encode: Encode | None = None

    @property
    def title(self) -> str:
        """The standard's name of the transfer syntax."""
        return uid.UID(self.syntax).name

    @property
    def decodable(self) -> bool:
        """Whether what it writes can be read here."""
        return self.encode is None or get_decoder(uid.UID(self.syntax)).is_available


# -- the encoders ----------------------------------------------------------------------------------------------------


def _jpeg_lossless(frame: NDArray[Any], shape: Shape, _: Loss) -> bytes:
    """Difference to the left neighbour, Huffman coded (ISO 10918-1 process 14, selection value 1), over whole cells."""
    colour = "RGB" if shape.samples > 1 else None
    cells = np.ascontiguousarray(frame).view(f"u{frame.dtype.itemsize}")
    return bytes(
        imagecodecs.jpeg8_encode(
            cells, lossless=True, predictor=1, bitspersample=shape.allocated, colorspace=colour, outcolorspace=colour
        )
    )


def _jpeg_ls(frame: NDArray[Any], shape: Shape, _: Loss) -> bytes:
    """ISO 14495-1; signed values over whole cells, since its prediction knows no sign."""
    bits = shape.allocated if shape.signed else _bits(frame, shape)
    line = {"interleave_mode": 2} if shape.samples > 1 else {}
    return bytes(jpeg_ls.encode_buffer(frame.tobytes(), shape.rows, shape.columns, shape.samples, bits, 0, **line))


def _jpeg_2000(frame: NDArray[Any], shape: Shape, _: Loss) -> bytes:
    """Reversible wavelet 5/3 (ISO 15444-1), colours coded apart."""
    space = _COLOUR if shape.samples > 1 else _GRAY
    bits = _bits(frame, shape)
    return bytes(encode_array(frame, bits_stored=bits, photometric_interpretation=space, use_mct=False))


def _jpeg_2000_lossy(frame: NDArray[Any], shape: Shape, loss: Loss) -> bytes:
    """Wavelet 9/7 to a ratio or a signal-to-noise ratio; colours are mixed first (YBR_ICT)."""
    bits, colour = _bits(frame, shape), shape.samples > 1
    ratios = [max(1.0, loss.ratio * bits / shape.allocated)] if loss.ratio else None  # OpenJPEG counts used bits
    noise = None if loss.ratio else [loss.psnr_db]
    return bytes(
        encode_array(
            frame, bits_stored=bits, photometric_interpretation=_COLOUR if colour else _GRAY, use_mct=colour,
            compression_ratios=ratios, signal_noise_ratios=noise,
        )
    )  # fmt: skip


def _htj2k(frame: NDArray[Any], _shape: Shape, _: Loss) -> bytes:
    """High throughput JPEG 2000 (ISO 15444-15), reversible."""
    return bytes(imagecodecs.htj2k_encode(frame, reversible=True, rgb=False if frame.ndim > _PLANE else None))


def _rle(frame: NDArray[Any], shape: Shape, _: Loss) -> bytes:
    """PS3.5 G."""
    return encode_pixel_data(
        frame.tobytes(), rows=shape.rows, columns=shape.columns, samples_per_pixel=shape.samples,
        bits_allocated=shape.allocated, byteorder="<",
    )  # fmt: skip


def _bits(frame: NDArray[Any], shape: Shape) -> int:
    """Return the bits a codestream needs: those the object says it uses where it keeps to them, else the whole cell."""
    if shape.high != shape.stored - 1 or shape.allocated == 8:  # noqa: PLR2004 - a byte is coded as a byte
        return shape.allocated
    low, top = (-(1 << shape.stored - 1), 1 << shape.stored - 1) if shape.signed else (0, 1 << shape.stored)
    return shape.stored if low <= int(frame.min()) and int(frame.max()) < top else shape.allocated


# -- the table -------------------------------------------------------------------------------------------------------

DEFLATE = Codec(
    "deflate", uid.DeflatedExplicitVRLittleEndian, lossless=True, library="zlib by Python", licence="zlib",
    available=True,
)  # fmt: skip
LOSSY = Codec(
    "jpeg2000-lossy", uid.JPEG2000, lossless=False, library="OpenJPEG by pylibjpeg-openjpeg", licence="BSD-2, MIT",
    available=True, encode=_jpeg_2000_lossy,
)  # fmt: skip
TABLE: tuple[Codec, ...] = (
    Codec(
        "jpeg-lossless", uid.JPEGLosslessSV1, lossless=True, library="libjpeg-turbo by imagecodecs",
        licence="BSD-3, IJG", available=imagecodecs.JPEG8.available, encode=_jpeg_lossless,
    ),
    Codec(
        "jpeg-ls", uid.JPEGLSLossless, lossless=True, library="CharLS by pyjpegls", licence="BSD-3, MIT",
        available=True, encode=_jpeg_ls,
    ),
    Codec(
        "jpeg2000", uid.JPEG2000Lossless, lossless=True, library="OpenJPEG by pylibjpeg-openjpeg",
        licence="BSD-2, MIT", available=True, encode=_jpeg_2000,
    ),
    Codec(
        "htj2k", uid.HTJ2KLossless, lossless=True, library="OpenJPH by imagecodecs", licence="BSD-2, BSD-3",
        available=imagecodecs.HTJ2K.available, encode=_htj2k,
    ),
    Codec(
        "rle", uid.RLELossless, lossless=True, library="pylibjpeg-rle", licence="MIT",
        available=True, encode=_rle,
    ),
    DEFLATE,
    LOSSY,
)  # fmt: skip
BY_NAME = {codec.name: codec for codec in TABLE}
LOSSLESS_BY_SYNTAX = {codec.syntax: codec for codec in TABLE if codec.lossless and codec.available}


def named(name: str) -> Codec:
    """Return a codec by its name in rules; raises Refused when there is none, or its library is absent."""
    codec = BY_NAME.get(name)
    if codec is None or not codec.available:
        known = ", ".join(each.name for each in TABLE if each.available)
        raise Refused(f"there is no codec '{name}' here: choose one of {known}")
    return codec
