"""Coverage-guided fuzzing of all that decodes bytes of strangers, by atheris (pip install atheris).

.venv/bin/python -m tests.bench.fuzzing -max_total_time=120

Any exception but Malformed ends it, and the bytes that caused it are printed and written beside.
"""

from __future__ import annotations

import contextlib
import sys
from importlib import import_module
from typing import Any

atheris: Any = import_module("atheris")
with atheris.instrument_imports(include=["core.dimse"]):
    from core.dimse import messages, negotiation, pdu
    from core.dimse.negotiation import Offer
    from core.dimse.pdu import Malformed

OFFERS = {
    "1.2.840.10008.1.1": Offer(frozenset({"1.2.840.10008.1.2"})),
    "1.2.840.10008.5.1.4.1.1.2": Offer(frozenset({"1.2.840.10008.1.2.1"}), requestor_scp=True),
}
SEEDS = (
    pdu.encode(negotiation.propose("A", "B", [negotiation.Proposed(uid, tuple(offer.transfer_syntaxes), scp=True)]))[6:]
    for uid, offer in OFFERS.items()
)


def _request(content: bytes) -> None:
    request = pdu.decode_request(memoryview(content))
    accept, _ = negotiation.answer(request, OFFERS)
    again = pdu.decode_accept(memoryview(pdu.encode(accept))[6:])
    assert negotiation.agreed(request, again) is not None


def _accept(content: bytes) -> None:
    pdu.decode_accept(memoryview(content))


def _small(content: bytes) -> None:
    pdu.decode_abort(memoryview(content))
    pdu.decode_reject(memoryview(content))


def _fragments(content: bytes) -> None:
    for context, control, piece in pdu.fragments(memoryview(content)):
        if control & 1:
            _command(bytes(piece), context)


def _command(content: bytes, context: int = 1) -> None:
    command = messages.decode(content, context)
    messages.decode(messages.response(command, command.status.code, command.status.comment), context)
    assert (command.sop_class, command.sop_uid, command.has_dataset) is not None


DECODERS = (_request, _accept, _small, _fragments, _command)


def try_one(content: bytes) -> None:
    """Let the first byte choose the decoder."""
    if content:
        with contextlib.suppress(Malformed):
            DECODERS[content[0] % len(DECODERS)](content[1:])


if __name__ == "__main__":
    for seed in SEEDS:
        try_one(b"\0" + seed)
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
