"""Objects from one transfer syntax to another: nothing is lost, and the way back gives the bytes there were."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from core.dicom import codecs, objects
from core.dicom.codecs import rules, table
from core.dicom.codecs.derive import derive
from core.dicom.codecs.raster import Unpictured
from core.dicom.codecs.rewriting import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    Encoding,
    Unwalkable,
    elements,
    encoding_of,
    rewritten,
)
from core.dicom.codecs.rules import Purpose
from core.dicom.codecs.table import Loss
from core.dicom.encoding import decoded, encoded
from core.errors import Invalid, Refused

LOSSLESS = [codec for codec in table.TABLE if codec.lossless]
NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)


def _object(name: str) -> tuple[memoryview, str]:
    path = Path(str(get_testdata_file(name)))
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    return memoryview(path.read_bytes())[objects.dataset_offset(path) :], str(syntax)


@st.composite
def pictures(draw: st.DrawFn) -> Dataset:
    """Any picture of 8 or 16 bits: signed or not, gray or colour, one frame or more, its bits used up or not."""
    allocated = draw(st.sampled_from([8, 16]))
    colour = draw(st.booleans())
    signed = not colour and draw(st.booleans())
    stored = allocated if colour else draw(st.integers(allocated // 2, allocated))
    rows, columns, frames = (draw(st.integers(*limits)) for limits in ((1, 24), (1, 24), (1, 3)))
    low, top = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    scale = draw(st.sampled_from([1, 16, top - low]))
    size = frames * rows * columns * (3 if colour else 1)
    values = np.clip(rng.integers(low, min(top, low + scale), size), low, top - 1)
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    one.SamplesPerPixel, one.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        one.PlanarConfiguration = 0
    one.NumberOfFrames, one.Rows, one.Columns = frames, rows, columns
    one.BitsAllocated, one.BitsStored, one.HighBit = allocated, stored, stored - 1
    one.PixelRepresentation = int(signed)
    data = values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    one.PixelData = data + b"\0" * (len(data) % 2)
    one["PixelData"].VR = "OW" if allocated == 16 else "OB"
    return one


@pytest.mark.parametrize("codec", LOSSLESS, ids=lambda codec: codec.name)
@settings(max_examples=40)
@given(one=pictures(), stored=st.sampled_from(NATIVE))
def test_a_picture_comes_back_byte_for_byte(codec: table.Codec, one: Dataset, stored: str) -> None:
    before = encoded(one, stored)
    try:
        packed = codecs.converted(memoryview(before), stored, codec.syntax)
    except Refused:
        assert codec.name in ("jpeg2000", "jpeg-ls")  # which take no picture with a side of a few pixels
        assert one.Rows * one.Columns < 64 or min(one.Rows, one.Columns) < 32
        return
    assert codecs.converted(memoryview(packed), codec.syntax, stored) == before


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm", "rtplan.dcm", "reportsi.dcm", "priv_SQ.dcm",
     "nested_priv_SQ.dcm", "rtdose.dcm", "waveform_ecg.dcm", "UN_sequence.dcm", "no_meta_group_length.dcm"],
)  # fmt: skip
def test_an_object_written_otherwise_and_back_is_the_same(name: str) -> None:
    data, syntax = _object(name)
    source = encoding_of(syntax)
    for target in (EXPLICIT, BIG) if source.implicit else (Encoding(big=not source.big),):
        assert rewritten(memoryview(rewritten(data, source, target)), target, source) == data


def test_values_are_the_same_in_every_encoding() -> None:
    data, syntax = _object("rtplan.dcm")
    before = decoded(data, syntax)
    for target, uid in ((EXPLICIT, ExplicitVRLittleEndian), (BIG, ExplicitVRBigEndian)):
        assert decoded(rewritten(data, IMPLICIT, target), uid) == before


def test_broken_values_travel_as_they_are() -> None:
    data = memoryview(b"\x08\x00\x20\x00\x08\x00\x00\x00yesterda" + b"\x28\x00\x10\x00\x04\x00\x00\x00\1\2\3\4")
    explicit = rewritten(data, IMPLICIT, EXPLICIT)
    assert b"DA\x08\x00yesterda" in explicit
    assert rewritten(memoryview(explicit), EXPLICIT, IMPLICIT) == data


def test_the_length_of_a_group_follows_what_it_holds() -> None:
    data, syntax = _object("CT_small.dcm")
    at = next(each.start for each in elements(data, EXPLICIT) if each.tag >= 0x7FE00010)
    held = bytes(data[:at]) + b"\xe0\x7f\0\0UL\4\0" + (len(data) - at).to_bytes(4, "little") + bytes(data[at:])
    packed = codecs.converted(memoryview(held), syntax, JPEGLosslessSV1)
    found = {each.tag: each for each in elements(memoryview(packed), EXPLICIT)}
    length, last = found[0x7FE00000], max(each.end for tag, each in found.items() if tag >> 16 == 0x7FE0)
    beyond = len(data) - max(each.end for each in elements(data, EXPLICIT) if each.tag >> 16 == 0x7FE0)
    assert int.from_bytes(packed[length.value : length.end], "little") == last - length.end + beyond
    assert codecs.converted(memoryview(packed), JPEGLosslessSV1, syntax) == held


def test_what_breaks_off_or_nests_without_end_is_refused() -> None:
    data, syntax = _object("CT_small.dcm")
    with pytest.raises(Unwalkable):
        codecs.converted(data[:-100], syntax, ImplicitVRLittleEndian)
    deep = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 200
    with pytest.raises(Unwalkable):
        rewritten(memoryview(deep), EXPLICIT, IMPLICIT)


@settings(max_examples=300)
@given(noise=st.binary(max_size=200), place=st.integers(0, 400))
def test_noise_is_refused_or_rewritten_but_never_breaks_anything(noise: bytes, place: int) -> None:
    data, _ = _object("rtplan.dcm")
    hurt = bytes(data[:place]) + noise + bytes(data[place:600])
    for source in (IMPLICIT, EXPLICIT, BIG):
        for target in (IMPLICIT, EXPLICIT, BIG):
            with suppress(Refused):
                rewritten(memoryview(hurt), source, target)


def test_the_first_syntax_that_can_be_is_taken_and_the_stored_one_before_all() -> None:
    data, syntax = _object("CT_small.dcm")
    assert codecs.transcoded(data, syntax, [ImplicitVRLittleEndian, syntax])[0] == syntax
    assert codecs.transcoded(data, syntax, [JPEGBaseline8Bit, RLELossless, ImplicitVRLittleEndian])[0] == RLELossless
    report, syntax = _object("reportsi.dcm")
    assert codecs.transcoded(report, syntax, [JPEGLosslessSV1, ImplicitVRLittleEndian])[0] == ImplicitVRLittleEndian
    with pytest.raises(Refused, match="without loss"):
        codecs.transcoded(data, syntax, [JPEGBaseline8Bit])


@pytest.mark.parametrize(
    ("name", "photometric"),
    [("SC_rgb_jpeg_dcmtk.dcm", "RGB"), ("examples_jpeg2k.dcm", "RGB"), ("JPGExtended.dcm", "MONOCHROME2"),
     ("SC_rgb_rle_16bit_2frame.dcm", "RGB"), ("rtdose_rle.dcm", "MONOCHROME2"), ("MR_small_RLE.dcm", "MONOCHROME2"),
     ("J2K_pixelrep_mismatch.dcm", "MONOCHROME2"), ("MR_small_jpeg_ls_lossless.dcm", "MONOCHROME2")],
)  # fmt: skip
def test_what_cameras_compress_is_had_uncompressed(name: str, photometric: str) -> None:
    data, stored = _object(name)
    syntax, plain = codecs.transcoded(data, stored, [ExplicitVRLittleEndian])
    read = decoded(plain, syntax)
    assert read.PhotometricInterpretation == photometric
    size = (
        read.Rows * read.Columns * read.SamplesPerPixel * read.BitsAllocated // 8 * int(read.get("NumberOfFrames", 1))
    )
    assert len(read.PixelData) == size + size % 2


def test_a_deflated_object_is_read_whole_or_refused() -> None:
    data, syntax = _object("image_dfl.dcm")
    assert decoded(codecs.converted(data, syntax, ExplicitVRLittleEndian), ExplicitVRLittleEndian).Rows == 512
    with pytest.raises(Refused, match="breaks off"):
        codecs.converted(data[: len(data) // 2], syntax, ExplicitVRLittleEndian)


def test_every_codec_says_who_made_it_and_none_is_gpl() -> None:
    for codec in table.TABLE:
        assert codec.available
        assert codec.decodable
        assert "GPL" not in codec.licence
        assert table.named(codec.name) is codec
    with pytest.raises(Refused, match="choose one of"):
        table.named("zip")


# -- lossy copies ----------------------------------------------------------------------------------------------------


def test_a_quality_may_be_asked_for_instead_of_a_ratio() -> None:
    data, syntax = _object("CT_small.dcm")
    fine, coarse = (derive(data, syntax, Loss(psnr_db=db), "1.2.3") for db in (60, 30))
    assert fine.psnr_db is None or coarse.psnr_db is not None
    assert coarse.ratio > fine.ratio


def test_palettes_masks_and_documents_lose_nothing() -> None:
    for name in ("examples_palette.dcm", "liver_1frame.dcm", "reportsi.dcm", "rtdose.dcm"):
        data, syntax = _object(name)
        with pytest.raises(Unpictured):
            derive(data, syntax, Loss(ratio=10), "1.2.3")


def test_a_copy_of_a_lossy_object_tells_both_losses() -> None:
    data, syntax = _object("SC_rgb_jpeg_dcmtk.dcm")
    one = decoded(codecs.converted(data, syntax, ExplicitVRLittleEndian), ExplicitVRLittleEndian)
    one.LossyImageCompressionRatio, one.LossyImageCompressionMethod = "4.5", "ISO_10918_1"
    copy = derive(memoryview(encoded(one, ExplicitVRLittleEndian)), ExplicitVRLittleEndian, Loss(ratio=5), "1.2.3")
    read = pydicom.dcmread(BytesIO(copy.dataset), force=True)
    assert list(read.LossyImageCompressionMethod) == ["ISO_10918_1", "ISO_15444_1"]
    assert float(read.LossyImageCompressionRatio[0]) == 4.5
    assert read.PhotometricInterpretation == "YBR_ICT"


# -- rules -----------------------------------------------------------------------------------------------------------


def test_the_most_particular_rule_is_taken() -> None:
    said = rules.read("important: lossless; important CT PT: jpeg-ls; important derived: deflate; backup: 12.5:1")
    chosen = {
        (modality, derived): rules.choose(said, Purpose.IMPORTANT, modality, derived=derived).codec
        for modality, derived in (("NM", False), ("CT", False), ("NM", True), ("CT", True))
    }
    names = {key: codec.name if codec else "" for key, codec in chosen.items()}
    assert names == {
        ("NM", False): "jpeg-lossless", ("CT", False): "jpeg-ls", ("NM", True): "deflate", ("CT", True): "jpeg-ls",
    }  # fmt: skip
    assert str(rules.choose(said, Purpose.BACKUP, "NM", derived=False)) == "backup: 12.5:1"


def test_rules_that_are_missing_are_the_usual_ones() -> None:
    said = rules.read("backup NM: as-is")
    assert [str(rule) for rule in said] == ["backup NM: as-is", "important: jpeg-lossless", "backup: 10:1"]
    assert rules.choose(said, Purpose.BACKUP, "NM", derived=False).codec is None


@pytest.mark.parametrize(
    "text",
    ["important: 10:1", "important NM: 50 dB", "backup", "backup: 1:1", "backup: zip", "some: lossless",
     "backup nm: 10:1", "backup: jpeg2000-lossy"],
)  # fmt: skip
def test_a_rule_that_would_lose_or_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        rules.read(text)


def test_deflated_objects_end_at_an_even_place() -> None:
    for name in ("reportsi.dcm", "CT_small.dcm", "rtplan.dcm"):
        data, syntax = _object(name)
        assert len(codecs.converted(data, syntax, DeflatedExplicitVRLittleEndian)) % 2 == 0
