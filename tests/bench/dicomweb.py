"""How fast DICOMweb is, beside Orthanc's plugin in the same run: storing and retrieving CT slices of half a megabyte.

    .venv/bin/python -m tests.bench.dicomweb [OBJECTS]

Both take and give the same objects over HTTP on loopback, Orthanc with its default configuration (it does not sync to
disk), photopeak durable before it answers. It prints objects a second, and ratios.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from pydicom import dcmread

from tests.conftest import find_peer
from tests.peers.process import Photopeakd, slices
from tests.scenarios.desk import PASSWORD, employ

AT_ONCE = 4
REQUEST = 10  # objects a request


@contextlib.contextmanager
def photopeak(folder: Path) -> Iterator[httpx.Client]:
    with Photopeakd(folder) as service:
        employ(folder, "bench", "physicist")
        root = f"http://{service.facts['http']}"
        said = httpx.post(f"{root}/api/v1/session", json={"username": "bench", "password": PASSWORD}).json()
        headers = {"Authorization": f"Bearer {said['token']}"}
        with httpx.Client(base_url=f"{root}/dicomweb", headers=headers, timeout=120) as client:
            yield client


@contextlib.contextmanager
def orthanc(folder: Path, port: int) -> Iterator[httpx.Client]:
    folder.mkdir()
    settings = {
        "StorageDirectory": str(folder), "IndexDirectory": str(folder), "HttpPort": port, "DicomPort": port + 1,
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [str(find_peer("orthanc-dicomweb"))],
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    process = subprocess.Popen(
        [str(find_peer("Orthanc")), str(folder / "orthanc.json")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/dicom-web", timeout=120) as client:
            for _ in range(300):
                with contextlib.suppress(httpx.TransportError):
                    client.get("/studies")
                    break
                time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(30)


def stow(client: httpx.Client, objects: Sequence[bytes]) -> int:
    parts = b"".join(b"\r\n--edge\r\nContent-Type: application/dicom\r\n\r\n" + one for one in objects)
    kind = {
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=edge',
        "Accept": "application/dicom+json",
    }
    answer = client.post("/studies", content=parts + b"\r\n--edge--\r\n", headers=kind)
    assert answer.status_code == 200, answer.text
    return len(objects)


def fetch(client: httpx.Client, path: str, accept: str) -> int:
    """Get something; httpx reads large answers slowly, and would measure itself."""
    url = client.base_url
    line = http.client.HTTPConnection(url.host, url.port or 80, timeout=120)
    headers = {"Accept": accept, "Authorization": client.headers.get("Authorization", "")}
    line.request("GET", f"{url.path.rstrip('/')}{path}", headers=headers)
    answer = line.getresponse()
    content = answer.read()
    line.close()
    assert answer.status == 200, content[:200]
    return len(content)


def rate(count: int, work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return count / (time.perf_counter() - begin)


def measured(client: httpx.Client, files: Sequence[Path]) -> dict[str, float]:
    objects = [file.read_bytes() for file in files]
    heads = [dcmread(file, stop_before_pixels=True) for file in files]
    study = f"/studies/{heads[0].StudyInstanceUID}"
    places = [f"{study}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}" for one in heads]
    half = len(objects) // 2
    requests = [objects[at : at + REQUEST] for at in range(half, len(objects), REQUEST)]
    as_kept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    frames = 'multipart/related; type="application/octet-stream"'
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {
            "store, 10 a request": rate(
                half, lambda: [stow(client, objects[at : at + REQUEST]) for at in range(0, half, REQUEST)]
            ),
            f"store, {AT_ONCE} requests at once": rate(
                len(objects) - half, lambda: list(pool.map(lambda one: stow(client, one), requests))
            ),
            "retrieve the study": rate(len(objects), lambda: fetch(client, study, as_kept)),
            "its metadata": rate(len(objects), lambda: fetch(client, f"{study}/metadata", "application/dicom+json")),
            "its instances searched": rate(
                len(objects), lambda: fetch(client, f"{study}/instances?limit=5000", "application/dicom+json")
            ),
            "frames, one a request": rate(
                half, lambda: [fetch(client, f"{one}/frames/1", frames) for one in places[:half]]
            ),
            f"frames, {AT_ONCE} requests at once": rate(
                len(places), lambda: list(pool.map(lambda one: fetch(client, f"{one}/frames/1", frames), places))
            ),
        }


def main(count: int = 400) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = slices(folder / "in", count, size=512)
        with orthanc(folder / "orthanc", 18642) as client:
            theirs = measured(client, files)
        with photopeak(folder / "photopeak") as client:
            ours = measured(client, files)
    print(f"{count} CT of {files[0].name and 512 * 512 * 2 // 1024} KB, objects/s")
    for what, speed in ours.items():
        print(f"{what:32} photopeak {speed:8.0f}   Orthanc {theirs[what]:8.0f}   {speed / theirs[what]:6.2f} x")


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:]))
