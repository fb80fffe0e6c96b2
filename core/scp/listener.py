"""The DICOM listener: who is let in, what is offered, and conversations with whoever calls.

It is careful with strangers: every PDU has a longest size and a deadline, silence ends by the ARTIM and idle times, and
nothing a peer sends is written to a log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from core.dicom import conformance
from core.dimse import negotiation, pdu
from core.dimse.association import Association
from core.dimse.link import Patience
from core.dimse.negotiation import Offer
from core.dimse.pdu import AssociateRq, Reject
from core.dimse.server import Door, Duties, Limits, Server
from core.dimse.tls import Certificates
from core.errors import Broken
from core.scp import Services
from core.scp.conversation import Conversation, plain

log = logging.getLogger(__name__)

_STOP_WITHIN = 3.0
_CONGESTED = Reject(pdu.TRANSIENT, 3, 1)


@dataclass(frozen=True)
class Manners:
    """How the listener treats its callers. Times are seconds, lengths bytes.

    `allowed` names the only AE titles that are let in, where it names any; `known_only` lets in registered devices
    alone.
    """

    aet: str = "PHOTOPEAK"
    known_only: bool = False
    any_called_aet: bool = False
    maximum_pdu: int = conformance.MAXIMUM_PDU
    maximum_associations: int = 64
    artim_seconds: float = 30.0
    idle_seconds: float = 60.0
    allowed: frozenset[str] = frozenset()
    largest_object: int = 1 << 34


class Listener:
    """Answers DICOM associations until stopped."""

    def __init__(
        self, address: tuple[str, int], services: Services, manners: Manners, certificates: Certificates | None = None,
        tls_address: tuple[str, int] | None = None,
    ) -> None:  # fmt: skip
        """Bind the address; nothing is answered before `start`.

        With certificates the address speaks TLS, unless TLS has an address of its own beside it.

        Raises
        ------
        Refused
            The address cannot be listened on.
        """
        self._services, self._manners = services, manners
        duties = Duties(self._admit, dict(_offers(services)), self._converse)
        patience = Patience(artim=manners.artim_seconds, idle=manners.idle_seconds, answer=manners.idle_seconds)
        limits = Limits(manners.maximum_associations, maximum_pdu=manners.maximum_pdu)
        tls = certificates.context if certificates else None
        doors = [Door(address), Door(tls_address, tls)] if tls and tls_address else [Door(address, tls)]
        self._certificates = certificates
        self._server = Server(doors, duties, patience, limits)

    @property
    def port(self) -> int:
        """The port that was bound."""
        return self._server.ports[0]

    @property
    def tls_port(self) -> int | None:
        """The port that speaks TLS, if any."""
        return self._server.ports[-1] if self._certificates else None

    def reload(self) -> None:
        """Read the certificates again; a change of their files is noticed without this, too."""
        if self._certificates:
            self._certificates.reload()

    @property
    def associations(self) -> int:
        """Associations that are established now."""
        return self._server.associations

    @property
    def connections(self) -> int:
        """Connections that are open now, associations or not."""
        return self._server.connections

    @property
    def associations_served(self) -> int:
        """Associations that were established since the start."""
        return self._server.associations_served

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def check(self) -> None:
        """Raise Broken unless the listener is up."""
        if not self._server.is_running:
            raise Broken("the DICOM listener is not running: restart photopeakd")

    def stop(self) -> None:
        """Take no more associations, let those running end within a few seconds, then abort the rest."""
        self._server.stop(_STOP_WITHIN)

    def _converse(self, association: Association) -> None:
        Conversation(association, self._services, self._manners.largest_object).run()

    def _admit(self, request: AssociateRq, host: str) -> Reject | None:
        called, calling = plain(request.called), plain(request.calling)
        try:
            reject = self._refusal(called, calling, host)
        except Exception as error:  # noqa: BLE001 - the database may be away; the caller may come again
            log.error("an association could not be judged (%s)", type(error).__name__)  # noqa: TRY400 - one line
            reject = _CONGESTED
        if reject:
            log.info("%s at %s is not let in to %s", calling, host, called)
        return reject

    def _refusal(self, called: str, calling: str, host: str) -> Reject | None:
        manners = self._manners
        if not manners.any_called_aet and called != manners.aet:
            return negotiation.NOT_BY_THAT_NAME
        if manners.allowed and calling not in manners.allowed:
            return negotiation.NOT_YOU
        if manners.known_only and self._services.who(calling, host).device is None:
            return negotiation.NOT_YOU
        return None


def _offers(services: Services) -> Iterator[tuple[str, Offer]]:
    """Yield what is accepted of each abstract syntax; a service that is absent is not offered."""
    messages = frozenset(conformance.MESSAGE_SYNTAXES)
    for uid in conformance.STORAGE.uids:
        kept = frozenset(conformance.STORAGE.transfer_syntaxes)
        yield uid, Offer(kept, requestor_scp=services.get is not None)
    offered = [conformance.VERIFICATION, conformance.FIND, conformance.WORKLIST, conformance.PROCEDURE_STEP]
    offered += [conformance.MOVE] if services.move else []
    offered += [conformance.GET] if services.get else []
    for service in offered:
        yield from ((uid, Offer(messages, extended=service.extended)) for uid in service.uids)
    if services.commit or services.committed:
        for uid in conformance.COMMITMENT.uids:
            yield uid, Offer(messages, services.commit is not None, services.committed is not None)
