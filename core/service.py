"""The composition root: the only place that builds things and hands them to each other."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydicom.uid import generate_uid
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from core import course, wire
from core.api import app as api
from core.api import consultations, dicomweb, events, exams, images, jobs, patients, reports, session, volumes
from core.api import desk as front_desk
from core.api import printing as films
from core.api import processing as processings
from core.api import service as service_page
from core.api.events import Newsroom
from core.archive.keeper import Keeper
from core.archive.stores import ARCHIVE, COPIES, LocalStore
from core.archive.tiers import Tiers
from core.compute import Pool
from core.dimse.tls import Certificates, ClientCertificate, TlsFiles
from core.errors import Broken, CoreError, Invalid, Refused
from core.jobs import Jobs, Runner
from core.model import Site
from core.opening import Clock, FolderLock, make_folder, open_records, sign_ins
from core.records import Records
from core.rendering.pages import Press
from core.scp import Services, procedure_step, query_retrieve, retrieve, storage, verification, worklist
from core.scp import commitment as storage_commitment
from core.scp.listener import Listener, Manners
from core.scp.verification import who_calls
from core.scu.peer import Peer, Timeouts, tls_context
from core.settings import Settings
from core.workflow import commitment, fetching, integrity, printing, queue, sending, tiering
from core.workflow.health import Health, Look, Measure, space_warning
from core.workflow.intake import Intake
from core.workflow.integrity import Verifier
from core.workflow.processing import deciding
from core.workflow.processing import running as processing
from core.workflow.processing.order import PIPELINE
from core.workflow.processing.shelf import Shelf
from core.workflow.reading import Desk
from core.workflow.reception import Reception
from core.workflow.retrieval import Finder
from core.workflow.tiering import Tiering
from core.workflow.viewing import LightBox
from core.workflow.volumes import VolumeBox

log = logging.getLogger(__name__)

_STOP_WITHIN = 5
_SWEEP_EVERY = 3600.0
_MEND_EVERY = 0.5
_MENDED_BUSY, _MENDED_QUIET = 5, 200  # objects looked at in one go while others come, and while none do


def open_keeper(settings: Settings) -> Keeper:
    """Open the archive."""
    given = {ARCHIVE: settings.archive_tier, COPIES: settings.copies}
    return Keeper(LocalStore(settings.store_path, elsewhere={name: Path(path) for name, path in given.items() if path}))


def open_tiering(settings: Settings, records: Records, keeper: Keeper) -> Tiering:
    """Build what moves objects between tiers."""
    return Tiering(records, Tiers(keeper.store), settings.codecs, generate_uid)


def peer_of(settings: Settings, device: wire.Device, timeouts: Timeouts | None = None) -> Peer:
    """Build how a device is called: by TLS where it is registered so."""
    tls = tls_context(settings.tls_ca, settings.tls_certificate, settings.tls_key) if device.tls else None
    return Peer(device.aet, device.host, device.port, settings.aet, timeouts or Timeouts(), tls)


def runners(
    settings: Settings, records: Records, keeper: Keeper, reports: commitment.Reports | None = None
) -> dict[str, Runner]:
    """Build what runs each kind of job."""
    call = partial(peer_of, settings)
    return {
        sending.KIND: sending.Sender(records, call, keeper.local).run,
        printing.KIND: printing.Darkroom(records, call, keeper.local, generate_uid).run,
        fetching.KIND: fetching.Fetcher(records, call, settings.aet, Reception(records, keeper)).run,
        commitment.ASK: commitment.Asker(records, call).run,
        commitment.ANSWER: commitment.Answerer(records, keeper.store, call, reports or commitment.Reports()).run,
        integrity.KIND: Verifier(records, keeper.store).work_off,
        tiering.KIND: open_tiering(settings, records, keeper).work_off,
    }


def worker_name(settings: Settings) -> str:
    """Name the worker of this folder's service: there is one at a time, and the next one takes back what it left."""
    return f"{socket.gethostname()}:{settings.data}"


def _manners(settings: Settings) -> Manners:
    return Manners(
        settings.aet, settings.known_only, settings.any_called_aet, settings.maximum_pdu,
        settings.maximum_associations, settings.artim_seconds, settings.idle_seconds,
        frozenset(aet.strip() for aet in settings.allowed_aets.split(",") if aet.strip()), settings.maximum_object,
    )  # fmt: skip


def certificates(settings: Settings) -> Certificates | None:
    """Read the certificates of the DICOM listener, where it has any."""
    if not settings.tls_certificate:
        if settings.dicom_tls:
            raise Invalid("dicom_tls needs tls_certificate and tls_key")
        return None
    key, authority = (Path(named) if named else None for named in (settings.tls_key, settings.tls_ca))
    try:
        client = ClientCertificate(settings.tls_client)
    except ValueError as error:
        raise Invalid(f"tls_client = {settings.tls_client}: it is off, optional or required") from error
    return Certificates(TlsFiles(Path(settings.tls_certificate), key, authority, client))


class Service:
    """Everything photopeakd runs, built from its settings."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        make_folder(settings)
        self.lock = FolderLock(settings.data)
        self.lock.hold()
        self.records = open_records(settings, clock)
        self.sign_ins = sign_ins(settings, self.records)
        self.keeper = open_keeper(settings)
        self.reception = Reception(self.records, self.keeper)
        self.intake = Intake(self.reception)
        self.shelf = Shelf(settings.data / "processing")
        self.newsroom = Newsroom(self.records)
        self.finder = Finder(self.records, settings.aet, self._archive_is_away)
        self.reports = commitment.Reports()
        running = runners(settings, self.records, self.keeper, self.reports)
        self.jobs = Jobs(self.records, running, name=worker_name(settings))
        self.pool = Pool(settings.compute_workers or os.cpu_count() or 1, preload=PIPELINE)
        self.making = self._making()
        self.health = Health(self.records, self._looks(), self._places(), self._counters)
        self.app = self._app()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.http_port = 0
        self.dicom_port = 0
        self._listener: Listener | None = None
        self._stopping = threading.Event()
        self._mender = threading.Thread(target=self._mend, name="mender", daemon=True)

    def _app(self) -> FastAPI:
        desk = Desk(timedelta(seconds=self.settings.lease_seconds))
        routers = [
            session.router(self.records, self.sign_ins),
            events.router(self.records, self.newsroom),
            reports.router(self.records, self.sign_ins, desk, Press()),
            consultations.router(self.records),
            patients.router(self.records),
            exams.router(self.records),
            front_desk.router(self.records),
            images.router(self.records, LightBox(self.keeper.local), self.intake),
            volumes.router(self.records, VolumeBox(self.keeper.local)),
            jobs.router(self.records),
            processings.router(self.records, self.reception, self.shelf),
            films.router(self.records, self._briefly),
            service_page.router(self.records, self.health.parts, self.keeper.store.check, self._echo),
        ]
        web = dicomweb.router(self.records, self.reception, self.keeper.local, self.settings.maximum_object)
        return api.build(routers, self.sign_ins.who, self.health.parts, self.health.measures, web)

    def _making(self) -> Jobs:
        """Build what runs the processing of images, apart from the other jobs so that neither waits for the other."""
        maker = processing.Maker(self.records, self.keeper.local, self.shelf, self.pool, version("photopeak"))
        workers = self.settings.compute_workers or os.cpu_count() or 1
        name = f"{worker_name(self.settings)}:processing"
        return Jobs(self.records, {course.PROCESSING: maker.run}, name=name, workers=workers)

    def start(self) -> None:
        """Bind every socket, then begin to answer."""
        http = _bound(self.settings.http_address)
        self.http_port = http.getsockname()[1]
        self._listener = Listener(
            self.settings.dicom_address, self._dicom_services(), _manners(self.settings),
            certificates(self.settings), self.settings.dicom_tls_address,
        )  # fmt: skip
        self.dicom_port = self._listener.port
        self.newsroom.start()
        config = uvicorn.Config(self.app, log_config=None, access_log=False, timeout_graceful_shutdown=_STOP_WITHIN)
        self._server = uvicorn.Server(config)
        run: Callable[..., None] = self._server.run
        self._thread = threading.Thread(target=run, kwargs={"sockets": [http]}, name="http", daemon=True)
        self._thread.start()
        self._listener.start()
        self.jobs.start()
        self.making.start()
        threading.Thread(target=self._sweep, name="sweeper", daemon=True).start()
        self._mender.start()

    def _dicom_services(self) -> Services:
        records, keeper = self.records, self.keeper
        return Services(
            who=partial(who_calls, records, self.settings.site),
            echo=partial(verification.echo, records),
            store=partial(storage.Receiving, self.reception),
            find=partial(query_retrieve.find, self.finder),
            move=partial(retrieve.move, records, keeper.store.local, partial(peer_of, self.settings)),
            get=partial(retrieve.get, records, keeper.store.local),
            find_worklist=partial(worklist.find, records),
            mpps_create=partial(procedure_step.create, records),
            mpps_set=partial(procedure_step.change, records),
            commit=partial(storage_commitment.asked, records, self.reports),
            committed=partial(storage_commitment.reported, records),
        )

    def _echo(self, device: wire.Device) -> None:
        """Ask a device whether it is there."""
        self._briefly(device).echo()

    def _briefly(self, device: wire.Device) -> Peer:
        """Build how a device is called while somebody at a screen waits."""
        return peer_of(self.settings, device, Timeouts(connect=5, association=5, answer=5, silence=5))

    def _sweep(self) -> None:
        """Now and then, remove what a crash or a broken sender left."""
        while True:
            try:
                with self.records.writing() as work:
                    self.keeper.sweep(work)
                self._age()
                self._tidy_up()
            except (CoreError, OSError, SQLAlchemyError) as error:
                log.warning("leftovers could not be swept (%s)", type(error).__name__)
            if self._stopping.wait(_SWEEP_EVERY):
                return

    def _age(self) -> None:
        """Queue what moves to other disks by itself, and let go of the files that moves left."""
        open_tiering(self.settings, self.records, self.keeper).let_go()
        runs = {"move": self.settings.archive_tier, "copy": self.settings.copies}
        with self.records.writing() as work:
            for site in work.session.exec(select(Site.code)).all():
                for what in (what for what, place in runs.items() if place):
                    tiering.queue_run(work, site, what, self.settings.online_days)

    def _archive_is_away(self) -> bool:
        return bool(self.settings.archive_tier) and not Path(self.settings.archive_tier).is_dir()

    def _tidy_up(self) -> None:
        """Write down who asked; ask again for reports that never came; forget what finished long ago, bit by bit."""
        self.finder.write_down()
        with self.records.writing() as work:
            commitment.ask_again(work, timedelta(hours=self.settings.report_hours))
        with self.records.reading() as work:
            deciding.tidy(work, self.shelf, timedelta(days=self.settings.step_days))
        older, more = timedelta(days=self.settings.job_days), self.settings.job_days > 0
        while more and not self._stopping.is_set():
            with self.records.writing() as work:
                more = queue.forget(work, older)

    def _mend(self) -> None:
        """Look for what is not standard in what came; a few at a time, so that nobody who sends is kept waiting."""
        newest = 0
        while not self._stopping.wait(_MEND_EVERY):
            try:
                before, newest = newest, self.intake.newest()
                quiet = before == newest
                while self.intake.examine(_MENDED_QUIET if quiet else _MENDED_BUSY) == _MENDED_QUIET:
                    if self._stopping.is_set() or self.intake.newest() != newest:
                        break
            except (CoreError, OSError, SQLAlchemyError) as error:
                log.warning("what came could not be examined (%s)", type(error).__name__)

    def reload(self) -> None:
        """Read anew what may change while we run: the certificates of the DICOM listener."""
        if self._listener:
            self._listener.reload()

    def stop(self) -> None:
        """Let running work end, then let go of everything."""
        self._stopping.set()
        self.jobs.stop()
        self.making.stop()
        self.pool.close()
        if self._listener:
            self._listener.stop()
            self.finder.write_down()
        self.newsroom.stop()
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(2 * _STOP_WITHIN)
        if self._mender.is_alive():
            self._mender.join(_STOP_WITHIN)
        self.records.close()
        self.lock.release()

    def _looks(self) -> dict[str, Look]:
        """Return how each part of the service is looked at."""
        return {
            "database": self._check_database,
            "migrations": self._check_head,
            "store": self._check_store,
            "dicom": self._check_listener,
        }

    def _places(self) -> dict[str, Path]:
        given = {"archive_tier": self.settings.archive_tier, "copies": self.settings.copies}
        elsewhere = {name: Path(place) for name, place in given.items() if place}
        return {"data": self.settings.data, "store": self.settings.store_path, **elsewhere}

    def _counters(self) -> list[Measure]:
        listener = self._listener
        if listener is None:
            return []
        now, ever = listener.associations, listener.associations_served
        return [
            Measure("associations", "DICOM associations that are open", [({}, now)]),
            Measure("associations", "DICOM associations there have been", [({}, ever)], total=True),
        ]

    def _check_database(self) -> str:
        self.records.check_write()
        free = shutil.disk_usage(self.settings.data).free
        return space_warning(free, self.settings.warn_free_bytes, "the database")

    def _check_store(self) -> str:
        return space_warning(self.keeper.store.check(), self.settings.warn_free_bytes, "images")

    def _check_head(self) -> str:
        if not self.records.at_head():
            msg = "the tables are not this version's: run 'photopeakd migrate'"
            raise Refused(msg)
        return ""

    def _check_listener(self) -> str:
        if self._listener is None:
            raise Broken("the DICOM listener is not running: restart photopeakd")
        self._listener.check()
        return ""


def _bound(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Named in full: asyncio turns Nagle off only on sockets that say TCP, and an answer would wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        msg = (
            f"{address[0]}:{address[1]} cannot be listened on ({error.strerror}): stop what uses it, or choose another"
        )
        raise Refused(msg) from error
    listener.listen(128)
    return listener
