"""Reads lossless and twelve-bit JPEG for pydicom, whose other decoder of them can end the process it runs in.

GDCM aborts on frames it thinks impossible, some of which are legal; libjpeg-turbo raises.
"""

from __future__ import annotations

from typing import Any

import imagecodecs
from numpy.typing import NDArray
from pydicom import uid
from pydicom.pixels.decoders.base import (
    DecodeRunner,
    JPEGExtended12BitDecoder,
    JPEGLosslessDecoder,
    JPEGLosslessSV1Decoder,
)

DECODER_DEPENDENCIES = {
    uid.JPEGExtended12Bit: ("imagecodecs",),
    uid.JPEGLossless: ("imagecodecs",),
    uid.JPEGLosslessSV1: ("imagecodecs",),
}
"""What pydicom names when the library is absent."""
_NAME = "imagecodecs"


def is_available(_uid: str) -> bool:
    """Whether the library was built with what this needs."""
    return bool(imagecodecs.JPEG8.available)


def decode_frame(src: bytes, runner: DecodeRunner) -> bytes:
    """Return the cells of a frame, colours as they were put in, signs extended to the whole cell."""
    as_put = runner.transfer_syntax != uid.JPEGExtended12Bit and runner.samples_per_pixel > 1
    colours = "RGB" if as_put else None
    cells = imagecodecs.jpeg8_decode(src, colorspace=colours, outcolorspace=colours)
    runner.set_option("bits_allocated", cells.itemsize * 8)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    return _extended(cells, runner).tobytes()


def _extended(cells: NDArray[Any], runner: DecodeRunner) -> NDArray[Any]:
    """Extend the sign of cells whose codestream held the used bits alone."""
    spare = cells.itemsize * 8 - runner.bits_stored
    if not runner.pixel_representation or spare <= 0 or int(cells.max()) >= 1 << runner.bits_stored:
        return cells
    return (cells.view(f"i{cells.itemsize}") << spare) >> spare


def introduce() -> None:
    """Make this decoder known to pydicom; safe to call again."""
    for decoder in (JPEGExtended12BitDecoder, JPEGLosslessDecoder, JPEGLosslessSV1Decoder):
        if _NAME not in decoder.available_plugins:
            decoder.add_plugin(_NAME, (__name__, "decode_frame"))
