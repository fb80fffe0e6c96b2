"""DICOMweb as others use it: dicomweb-client, Orthanc's plugin, and plain HTTP."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from PIL import Image as Pictures
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless, generate_uid

from core import wire
from core.vocabulary import Role
from core.workflow import corrections, staffing, triage
from core.workflow.deposit import Deposit, NotStored
from tests.peers.process import altered, slices
from tests.peers.receiving import until
from tests.peers.serving import HEAD, OPERATOR, Department, serving
from tests.tables import HASHER

# pynetdicom leaves sockets of ended associations to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

PASSWORD = "a password that is long enough"
ROLES = (Role.HEAD, Role.PHYSICIST, Role.TECHNOLOGIST, Role.DOCTOR, Role.CLERK, Role.NURSE, Role.OUTSIDE_READER)
PLAIN = str(ExplicitVRLittleEndian)
Call = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Department]:
    with serving(tmp_path_factory.mktemp("dicomweb")) as running:
        hashed = staffing.hashed(HASHER, PASSWORD)
        with running.records.writing() as work:
            for role in ROLES:
                staffing.add(work, OPERATOR, role.value, [role], password_hash=hashed)
        yield running


@pytest.fixture(scope="module")
def call(department: Department) -> Iterator[Call]:
    """Call as somebody: `call(role, method, path, ...)`; an empty role is nobody."""
    root = f"http://127.0.0.1:{department.service.http_port}"
    with httpx.Client(base_url=f"{root}/dicomweb", timeout=60) as client:
        tokens: dict[str, str] = {}

        def send(role: str, method: str, path: str, **said: Any) -> httpx.Response:  # noqa: ANN401 - as httpx takes
            if role and role not in tokens:
                signed_in = client.post(f"{root}/api/v1/session", json={"username": role, "password": PASSWORD})
                tokens[role] = signed_in.json()["token"]
            headers = {**said.pop("headers", {}), **({"Authorization": f"Bearer {tokens[role]}"} if role else {})}
            return client.request(method, path, headers=headers, **said)

        yield send


@pytest.fixture(scope="module")
def viewer(department: Department, call: Call) -> Iterator[DICOMwebClient]:
    """A doctor's client of somebody else's making."""
    token = call("doctor", "GET", "/studies").request.headers["Authorization"]
    with create_session() as session:
        session.headers["Authorization"] = token
        yield DICOMwebClient(f"http://127.0.0.1:{department.service.http_port}/dicomweb", session=session)


def bring(call: Call, *objects: bytes, role: str = "physicist", study: str = "") -> httpx.Response:
    """Store objects by STOW-RS."""
    parts = [b"\r\n--edge\r\nContent-Type: application/dicom\r\n\r\n" + one for one in objects]
    kind = 'multipart/related; type="application/dicom"; boundary=edge'
    path = f"/studies/{study}" if study else "/studies"
    return call(role, "POST", path, content=b"".join(parts) + b"\r\n--edge--\r\n", headers={"Content-Type": kind})


def brought(call: Call, source: str | Dataset, **said: object) -> Any:  # noqa: ANN401 - pydicom's attributes
    """Store an object of the standard's samples under a UID of its own, and return it."""
    model = dcmread(str(get_testdata_file(source))) if isinstance(source, str) else source
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "SeriesInstanceUID")}
    one = altered(model, **{**uids, **said})
    assert bring(call, written(one)).status_code == 200
    return one


def written(one: Dataset) -> bytes:
    out = io.BytesIO()
    one.save_as(out)
    return out.getvalue()


def content_of(file: bytes) -> bytes:
    """Return the bytes of a file's dataset: the file meta before it is ours."""
    at = 132 + 12 + int.from_bytes(file[140:144], "little")
    return file[at:]


def url_of(one: Any) -> str:  # noqa: ANN401 - pydicom's attributes
    return f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}"


def parts_of(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Return media type and bytes of each part of an answer."""
    assert answer.status_code == 200, answer.text
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    chunks = answer.content.split(b"--" + boundary)[1:-1]
    parts = [chunk.removeprefix(b"\r\n").removesuffix(b"\r\n").split(b"\r\n\r\n", 1) for chunk in chunks]
    return [(head.split(b"\r\n")[0].decode().removeprefix("Content-Type: "), content) for head, content in parts]


# -- search ----------------------------------------------------------------------------------------------------------


def test_a_stored_study_is_found_with_what_it_holds(call: Call, viewer: DICOMwebClient) -> None:
    one = brought(call, "MR_small.dcm", PatientID="Q1", PatientName="Searched^For", StudyDate="20260102")
    (found,) = viewer.search_for_studies(search_filters={"PatientName": "search*", "StudyDate": "20260101-20260131"})
    study = Dataset.from_json(found)
    assert (study.StudyInstanceUID, study.PatientID) == (one.StudyInstanceUID, "Q1")
    assert study.ModalitiesInStudy == "MR"
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (1, 1)
    assert study.InstanceAvailability == "ONLINE"
    (series,) = viewer.search_for_series(one.StudyInstanceUID)
    assert Dataset.from_json(series).NumberOfSeriesRelatedInstances == 1
    (instance,) = viewer.search_for_instances(search_filters={"SOPInstanceUID": one.SOPInstanceUID})
    told = Dataset.from_json(instance)
    assert (told.Rows, told.Columns, told.BitsAllocated) == (one.Rows, one.Columns, one.BitsAllocated)
    assert told.RetrieveURL.endswith(f"/dicomweb{url_of(one)}")
    assert call("doctor", "GET", "/series?PatientID=Q1").json()[0]["00100010"]["Value"][0]["Alphabetic"]


def test_answers_are_paged_and_say_when_there_are_more(call: Call, tmp_path: Path) -> None:
    files = slices(tmp_path / "s", 5, number="Q2")
    assert bring(call, *(file.read_bytes() for file in files)).status_code == 200
    study = dcmread(files[0]).StudyInstanceUID
    seen = []
    for offset, more in ((0, True), (2, True), (4, False)):
        page = call("doctor", "GET", f"/studies/{study}/instances", params={"limit": 2, "offset": offset})
        assert ("there are more" in page.headers.get("Warning", "")) is more
        seen += [one["00080018"]["Value"][0] for one in page.json()]
    assert seen == [dcmread(file).SOPInstanceUID for file in files]
    beyond = call("doctor", "GET", f"/studies/{study}/instances?offset=5")
    assert (beyond.status_code, beyond.content) == (204, b"")


@pytest.mark.parametrize(
    "path", ["/studies?Nonsense=1", "/studies?limit=x", "/studies?StudyDate=soon", "/studies?offset=-1"]
)
def test_a_search_that_makes_no_sense_is_a_bad_request(call: Call, path: str) -> None:
    answer = call("doctor", "GET", path)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


def test_what_cannot_be_searched_by_is_left_aside_with_a_warning(call: Call) -> None:
    brought(call, "MR_small.dcm", PatientID="Q3")
    answer = call("doctor", "GET", "/studies?PatientID=Q3&PatientComments=x&fuzzymatching=true")
    assert len(answer.json()) == 1
    assert "PatientComments is not searched by" in answer.headers["Warning"]
    assert "fuzzymatching is not supported" in answer.headers["Warning"]


def test_chinese_under_a_wrong_label_is_told_as_chinese(call: Call) -> None:
    model = dcmread(str(get_testdata_file("MR_small.dcm")))
    model.SpecificCharacterSet, model.PatientName = "GB18030", "张伟"
    one = altered(model, StudyInstanceUID=generate_uid(), PatientID="Q4")
    wrong = written(one).replace(b"CS\x08\x00GB18030 ", b"CS\x0a\x00ISO_IR 100")
    assert bring(call, wrong).status_code == 200
    name = call("doctor", "GET", f"{url_of(one)}/metadata").json()[0]["00100010"]["Value"][0]
    assert name == {"Alphabetic": "张伟"}
    (found,) = call("doctor", "GET", "/studies", params={"PatientName": "张*"}).json()
    assert found["0020000D"]["Value"] == [one.StudyInstanceUID]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]


# -- retrieve --------------------------------------------------------------------------------------------------------


def test_a_study_comes_back_as_it_was_brought(call: Call, viewer: DICOMwebClient, tmp_path: Path) -> None:
    files = slices(tmp_path / "s", 3, number="R1")
    assert bring(call, *(file.read_bytes() for file in files)).status_code == 200
    study = str(dcmread(files[0]).StudyInstanceUID)
    assert [one.SOPInstanceUID for one in viewer.retrieve_study(study)] == [
        dcmread(file).SOPInstanceUID for file in files
    ]
    kept = parts_of(call("doctor", "GET", f"/studies/{study}", headers={"Accept": "*/*"}))
    assert [content_of(content) for _, content in kept] == [content_of(file.read_bytes()) for file in files]
    assert {media for media, _ in kept} == {f"application/dicom; transfer-syntax={PLAIN}"}


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "MR_small_RLE.dcm", "MR_small_jpeg_ls_lossless.dcm"])
def test_a_compressed_object_goes_out_as_it_is_kept_or_uncompressed(call: Call, name: str) -> None:
    one = brought(call, name)
    kept = call("doctor", "GET", url_of(one), headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert content_of(kept.content) == content_of(written(one))
    plain = dcmread(io.BytesIO(call("doctor", "GET", url_of(one), headers={"Accept": "application/dicom"}).content))
    assert plain.file_meta.TransferSyntaxUID == PLAIN
    assert (plain.pixel_array == one.pixel_array).all()
    none = call("doctor", "GET", url_of(one), headers={"Accept": "application/dicom; transfer-syntax=1.2.3"})
    assert none.status_code == 406


def test_a_caller_chooses_the_transfer_syntax(call: Call) -> None:
    one = brought(call, "MR_small.dcm")
    for syntax in (JPEGLosslessSV1, JPEGLSLossless, ImplicitVRLittleEndian):
        answer = call("doctor", "GET", url_of(one), headers={"Accept": f"application/dicom; transfer-syntax={syntax}"})
        made = dcmread(io.BytesIO(answer.content))
        assert made.file_meta.TransferSyntaxUID == syntax
        assert (made.pixel_array == one.pixel_array).all()


@pytest.mark.parametrize(
    "name",
    ["MR_small.dcm", "SC_rgb_small_odd_big_endian.dcm", "JPEG2000.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_RLE.dcm"],
)
def test_frames_come_uncompressed(call: Call, viewer: DICOMwebClient, name: str) -> None:
    one = brought(call, name)
    pixels = one.pixel_array if int(one.get("NumberOfFrames", 1)) > 1 else one.pixel_array[None]
    got = parts_of(call("doctor", "GET", f"{url_of(one)}/frames/{','.join(str(n + 1) for n in range(len(pixels)))}"))
    assert [media for media, _ in got] == ["application/octet-stream"] * len(pixels)
    for (_, content), frame in zip(got, pixels, strict=True):
        assert content == np.ascontiguousarray(frame).astype(frame.dtype.newbyteorder("<")).tobytes()
    again = viewer.retrieve_instance_frames(
        one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID, [1], media_types=("application/octet-stream",)
    )
    assert again == [got[0][1]]


def test_a_compressed_frame_is_told_by_its_own_media_type(call: Call) -> None:
    one = brought(call, "JPEG2000.dcm")
    for accept in (
        'multipart/related; type="application/octet-stream"; transfer-syntax=*',
        'multipart/related; type="image/jp2"',
    ):
        ((media, content),) = parts_of(call("doctor", "GET", f"{url_of(one)}/frames/1", headers={"Accept": accept}))
        assert media == f"image/jp2; transfer-syntax={one.file_meta.TransferSyntaxUID}"
        assert content[:4] == b"\xff\x4f\xff\x51"  # the start of a JPEG 2000 codestream
    refused = call(
        "doctor", "GET", f"{url_of(one)}/frames/1", headers={"Accept": 'multipart/related; type="image/jls"'}
    )
    assert refused.status_code == 406
    assert "image/jp2" in refused.json()["detail"]


def test_metadata_tell_everything_but_what_is_large(call: Call, viewer: DICOMwebClient) -> None:
    model = dcmread(str(get_testdata_file("MR_small.dcm")))
    block = model.private_block(0x0009, "PHOTOPEAK TEST", create=True)
    block.add_new(0x01, "OB", b"\x07" * 5000)
    one = brought(call, model)
    metadata = viewer.retrieve_instance_metadata(one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    told = Dataset.from_json(metadata, bulk_data_uri_handler=lambda *_: b"")
    assert [told.PixelSpacing, told.ImageType, told.Rows] == [one.PixelSpacing, one.ImageType, one.Rows]
    large, pixels = metadata[f"{block.get_tag(0x01):08X}"]["BulkDataURI"], metadata["7FE00010"]["BulkDataURI"]
    assert viewer.retrieve_bulkdata(large) == [b"\x07" * 5000]
    assert viewer.retrieve_bulkdata(pixels) == [one.PixelData]
    assert call("doctor", "GET", f"{url_of(one)}/bulkdata/00100010").status_code == 404
    assert call("doctor", "GET", f"{url_of(one)}/bulkdata/../secret").status_code in {400, 404}


def test_what_is_not_there_is_not_found(call: Call) -> None:
    one = brought(call, "MR_small.dcm")
    assert call("doctor", "GET", "/studies/1.2.3").status_code == 404
    assert call("doctor", "GET", f"/studies/{one.StudyInstanceUID}/series/1.2.3/metadata").status_code == 404
    assert call("doctor", "GET", f"{url_of(one)}/frames/2").status_code == 404
    assert call("doctor", "GET", f"{url_of(one)}/frames/0").status_code == 400


# -- pictures --------------------------------------------------------------------------------------------------------


def ramp() -> Any:  # noqa: ANN401 - pydicom's attributes
    """Return an object whose values run from 0 to 255 across."""
    model: Any = dcmread(str(get_testdata_file("MR_small.dcm")))
    model.Rows, model.Columns, model.PixelSpacing = 16, 256, [1, 1]
    model.PixelData = np.tile(np.arange(256, dtype="<i2"), (16, 1)).tobytes()
    model.WindowCenter, model.WindowWidth = 128, 256
    return model


def picture(answer: httpx.Response) -> np.ndarray[Any, np.dtype[np.uint8]]:
    assert answer.status_code == 200, answer.text
    return np.asarray(Pictures.open(io.BytesIO(answer.content)))


def test_a_picture_shows_the_values_in_the_window_asked_for(call: Call) -> None:
    one = brought(call, ramp())
    png = {"Accept": "image/png"}
    whole = picture(call("doctor", "GET", f"{url_of(one)}/rendered", headers=png))
    assert np.abs(whole[3].astype(int) - np.arange(256)).max() <= 1
    narrow = picture(call("doctor", "GET", f"{url_of(one)}/rendered?window=100,100,linear-exact", headers=png))
    assert (narrow[0, :50] == 0).all()
    assert (narrow[0, 150:] == 255).all()
    assert abs(int(narrow[0, 100]) - 128) <= 1
    smooth = picture(call("doctor", "GET", f"{url_of(one)}/rendered?window=128,256,sigmoid", headers=png))
    assert abs(int(smooth[0, 192]) - 255 / (1 + np.exp(-1))) <= 1
    small = picture(call("doctor", "GET", f"{url_of(one)}/rendered?viewport=64,64", headers=png))
    assert small.shape == (4, 64)
    part = picture(call("doctor", "GET", f"{url_of(one)}/rendered?viewport=32,16,100,0,32,16", headers=png))
    assert np.abs(part[0].astype(int) - np.arange(100, 132)).max() <= 1


@pytest.mark.parametrize("asked", ["viewport=0,0", "viewport=9999999,1", "window=1", "window=1,-1,linear", "quality=0"])
def test_a_picture_nobody_can_draw_is_a_bad_request(call: Call, asked: str) -> None:
    one = brought(call, "MR_small.dcm")
    assert call("doctor", "GET", f"{url_of(one)}/rendered?{asked}").status_code == 400


def test_frames_series_and_studies_are_drawn_too(call: Call, viewer: DICOMwebClient) -> None:
    one = brought(call, "SC_rgb_rle_2frame.dcm")
    second = picture(call("doctor", "GET", f"{url_of(one)}/frames/2/rendered", headers={"Accept": "image/png"}))
    assert (second == one.pixel_array[1]).all()
    both = parts_of(call("doctor", "GET", f"/studies/{one.StudyInstanceUID}/rendered"))
    assert [media for media, _ in both] == ["image/jpeg"] * 2
    with Pictures.open(
        io.BytesIO(call("doctor", "GET", f"{url_of(one)}/rendered", headers={"Accept": "image/gif"}).content)
    ) as cine:
        assert getattr(cine, "n_frames", 1) == 2
    for place in ("", f"/series/{one.SeriesInstanceUID}"):
        assert max(picture(call("doctor", "GET", f"/studies/{one.StudyInstanceUID}{place}/thumbnail")).shape) == 128
    rendered = viewer.retrieve_instance_rendered(one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    assert rendered[:2] == b"\xff\xd8"
    assert call("doctor", "GET", f"{url_of(one)}/rendered", headers={"Accept": "image/webp"}).status_code == 406


# -- store -----------------------------------------------------------------------------------------------------------


def test_what_is_stored_is_filed_like_everything_that_arrives(department: Department, call: Call) -> None:
    exam = department.scheduled("Filed^Web", "W1", number="PW1")
    model = dcmread(str(get_testdata_file("MR_small.dcm")))
    said = {"PatientID": "PW1", "AccessionNumber": "W1", "StudyInstanceUID": exam.study_instance_uid}
    said |= {"PatientName": "Filed^Web", "PatientBirthDate": "19610304", "PatientSex": "M"}
    brought(call, model, **said, ImageType=["ORIGINAL", "PRIMARY"])
    assert department.exam("W1").images.received == 1


def test_what_cannot_be_stored_is_named_and_the_rest_is_kept(call: Call) -> None:
    good, other = (
        altered(dcmread(str(get_testdata_file("MR_small.dcm"))), StudyInstanceUID=generate_uid()) for _ in "12"
    )
    answer = bring(call, written(good), b"no object", written(other)[:2000], study=str(good.StudyInstanceUID))
    assert answer.status_code == 202
    told = answer.json()
    assert [one["00081155"]["Value"] for one in told["00081199"]["Value"]] == [[good.SOPInstanceUID]]
    assert {one["00081197"]["Value"][0] for one in told["00081198"]["Value"]} <= {0xC000, 0xA900}
    foreign = bring(call, written(other), study=str(good.StudyInstanceUID))
    assert foreign.status_code == 409
    (failed,) = foreign.json()["00081198"]["Value"]
    assert (failed["00081155"]["Value"], failed["00081197"]["Value"]) == ([other.SOPInstanceUID], [0xA900])
    assert call("doctor", "GET", f"/studies/{other.StudyInstanceUID}/metadata").status_code == 404


def test_another_object_under_a_known_uid_is_kept_apart_and_said_so(call: Call) -> None:
    one = brought(call, "MR_small.dcm")
    assert bring(call, written(one)).status_code == 200
    one.PatientName = "Another^One"
    answer = bring(call, written(one))
    assert answer.status_code == 202
    assert answer.json()["00081199"]["Value"][0]["00081196"]["Value"] == [0xB000]


def test_a_single_object_may_come_without_parts(call: Call) -> None:
    one = altered(dcmread(str(get_testdata_file("MR_small.dcm"))), StudyInstanceUID=generate_uid())
    answer = call("head", "POST", "/studies", content=written(one), headers={"Content-Type": "application/dicom"})
    assert answer.status_code == 200
    assert call("doctor", "GET", f"{url_of(one)}/metadata").status_code == 200


def test_an_object_without_file_meta_is_stored_too(call: Call) -> None:
    one = altered(dcmread(str(get_testdata_file("MR_small.dcm"))), StudyInstanceUID=generate_uid())
    assert bring(call, content_of(written(one))).status_code == 200
    (told,) = call("doctor", "GET", f"{url_of(one)}/metadata").json()
    assert told["00280010"]["Value"] == [one.Rows]


def test_what_was_whole_is_kept_when_a_sender_breaks_off(department: Department, call: Call) -> None:
    model = dcmread(str(get_testdata_file("MR_small.dcm")))
    said = {"Rows": 1024, "Columns": 1024, "PixelData": b"\1\2" * (1 << 20)}
    whole, half = (altered(model, StudyInstanceUID=generate_uid(), **said) for _ in "12")
    token = call("physicist", "GET", "/studies").request.headers["Authorization"]
    head = "POST /dicomweb/studies HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\nAuthorization: " + token
    head += '\r\nContent-Type: multipart/related; type="application/dicom"; boundary=edge\r\n\r\n'
    part = b"\r\n--edge\r\nContent-Type: application/dicom\r\n\r\n"
    with socket.create_connection(("127.0.0.1", department.service.http_port)) as line:
        line.sendall(head.encode() + part + written(whole) + part + written(half)[:-500_000])
        until(lambda: call("doctor", "GET", f"{url_of(whole)}/metadata").status_code == 200)
    until(lambda: not department.service.keeper.store.leftovers())
    assert call("doctor", "GET", f"{url_of(half)}/metadata").status_code == 404


def test_an_object_too_large_is_refused_while_it_comes(tmp_path: Path) -> None:
    one = altered(dcmread(str(get_testdata_file("MR_small.dcm"))), StudyInstanceUID=generate_uid())
    with serving(tmp_path / "small", maximum_object=5000) as small:
        deposit = Deposit(small.service.reception, OPERATOR, "", small.service.settings.maximum_object)
        brought_here = deposit.begin()
        brought_here.write(written(one))
        deposit.keep(brought_here)
        (outcome,) = deposit.done()
        assert isinstance(outcome, NotStored)
        assert "larger than 5000 bytes" in outcome.detail
        assert not small.service.keeper.store.leftovers()


def test_a_client_stores_too(department: Department, call: Call) -> None:
    token = call("physicist", "GET", "/studies").request.headers["Authorization"]
    one = altered(dcmread(str(get_testdata_file("MR_small.dcm"))), StudyInstanceUID=generate_uid())
    with create_session() as session:
        session.headers["Authorization"] = token
        client = DICOMwebClient(f"http://127.0.0.1:{department.service.http_port}/dicomweb", session=session)
        answer = client.store_instances([one])
    assert answer.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == one.SOPInstanceUID


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 415),
        ('multipart/related; type="application/dicom+json"; boundary=edge', 415),
        ('multipart/related; type="application/dicom"', 400),
        ('multipart/related; type="application/dicom"; boundary=other', 400),
    ],
)
def test_a_message_of_another_kind_is_refused(call: Call, kind: str, status: int) -> None:
    answer = call(
        "physicist", "POST", "/studies", content=b"--edge\r\n\r\n{}\r\n--edge--", headers={"Content-Type": kind}
    )
    assert answer.status_code == status


# -- rights ----------------------------------------------------------------------------------------------------------


def test_nobody_gets_in_without_a_token_and_nobody_beyond_their_right(call: Call) -> None:
    one = brought(call, "MR_small.dcm")
    for path in ("/studies", f"/studies/{one.StudyInstanceUID}", f"{url_of(one)}/metadata", f"{url_of(one)}/rendered"):
        assert call("", "GET", path).status_code == 401
        assert call("clerk", "GET", path).status_code == 403
        assert call("nurse", "GET", path).status_code == 403
        assert call("technologist", "GET", path).status_code == 200
        assert call("outside_reader", "GET", path).status_code in {204, 403}
    assert bring(call, written(one), role="technologist").status_code == 403
    assert bring(call, written(one), role="outside_reader").status_code == 403


def test_an_outside_reader_sees_their_own_cases_alone(department: Department, call: Call) -> None:
    department.registered("Own^Case", "O1", number="PO1")
    with department.records.writing() as work:
        triage.assign(work, HEAD, "O1", wire.Assign(to="outside_reader"))
    own, other = (brought(call, "MR_small.dcm", PatientID="PO1") for _ in "12")
    with department.records.writing() as work:
        form = wire.FileBatch(accession="O1", reason="it is hers")
        corrections.file_batch(work, HEAD, str(own.StudyInstanceUID), form)
    found = call("outside_reader", "GET", "/studies").json()
    assert [one["0020000D"]["Value"] for one in found] == [[own.StudyInstanceUID]]
    assert call("outside_reader", "GET", f"/studies?StudyInstanceUID={other.StudyInstanceUID}").status_code == 204
    assert call("outside_reader", "GET", f"{url_of(own)}/metadata").status_code == 200
    assert call("outside_reader", "GET", f"{url_of(other)}/metadata").status_code == 403
    assert call("outside_reader", "GET", "/studies/1.2.3").status_code == 403


def test_what_a_caller_does_not_take_is_not_acceptable(call: Call) -> None:
    one = brought(call, "MR_small.dcm")
    xml = {"Accept": 'multipart/related; type="application/dicom+xml"'}
    assert call("doctor", "GET", "/studies", headers=xml).status_code == 406
    assert call("doctor", "GET", f"{url_of(one)}/metadata", headers=xml).status_code == 406
    assert call("doctor", "GET", url_of(one), headers={"Accept": "text/html"}).status_code == 406
    assert (
        call("doctor", "GET", f"{url_of(one)}?accept=application/dicom", headers={"Accept": "*/*"}).status_code == 200
    )


def test_taking_files_away_is_in_the_audit_trail(department: Department, call: Call) -> None:
    one = brought(call, "MR_small.dcm")
    assert call("doctor", "GET", url_of(one)).status_code == 200
    root = f"http://127.0.0.1:{department.service.http_port}/api/v1"
    trail = call("head", "GET", f"{root}/audit", params={"subject": str(one.StudyInstanceUID)}).json()
    assert [(entry["actor"], entry["action"]) for entry in trail] == [("doctor", "object.retrieve")]
