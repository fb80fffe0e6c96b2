"""Staff, sign-in and sign-out.

Tokens are 256 random bits kept only as SHA-256; a sign-in ends by itself after a time unused and at the latest after
a fixed time. Passwords are argon2 hashes, and only a few are worked out at once.
"""

import hashlib
import json
import secrets
import threading
from dataclasses import dataclass
from datetime import timedelta

import argon2
from sqlmodel import col, delete, select

from core import access, audit, wire
from core.access import Actor
from core.errors import Invalid, NotFound, Refused, Unauthenticated
from core.model import FormDraft, Session, Site, Staff
from core.records import Records, Work
from core.vocabulary import Operation, Role
from core.workflow import guesses

_HASHES_AT_ONCE = threading.BoundedSemaphore(2)
_SHORTEST_PASSWORD = 8
_WRONG = "name or password is wrong; ask an administrator when you have forgotten it"
_TOUCH_AFTER = timedelta(minutes=1)
_LONGEST_FORM, _LONGEST_DRAFT, _MOST_DRAFTS = 64, 100_000, 200


@dataclass(frozen=True)
class SignIns:
    """The signing-in rule of one installation."""

    records: Records
    hasher: argon2.PasswordHasher
    idle: timedelta
    longest: timedelta

    def sign_in(self, username: str, password: str, host: str = "") -> wire.Token:
        """Exchange name and password for a token; `host` is where they were typed.

        Raises
        ------
        Unauthenticated
            Without saying which of the two was wrong.
        TooSoon
            After too many wrong ones, whether the name is anybody's or not.
        """
        attempt = guesses.Attempt(username, host)
        with self.records.reading() as work:
            guesses.demand_patience(work, attempt)
            staff = work.session.exec(select(Staff).where(Staff.username == username)).first()
        known = staff is not None and staff.enabled and staff.password_hash is not None
        right = password_matches(self.hasher, staff.password_hash if staff and known else None, password)
        if staff is None or not known or not right:
            self._note(attempt, staff)
            raise Unauthenticated(_WRONG)
        token = secrets.token_urlsafe(32)
        with self.records.writing() as work:
            guesses.demand_patience(work, attempt)  # others may have guessed meanwhile
            now = work.session.get(Staff, staff.id)  # the password may have been changed while this one was looked at
            if now is None or not now.enabled or now.password_hash != staff.password_hash:
                raise Unauthenticated(_WRONG)
            row = Session(
                token_sha256=_digest(token), staff_id=staff.id or 0, site=staff.site, created_at=work.now,
                used_at=work.now, expires_at=work.now + self.longest,
            )  # fmt: skip
            work.add(row)
            audit.record(work, actor_of(staff), guesses.RIGHT, username, **attempt.marks())
            return wire.Token(token=token, **_me(work, staff, row).model_dump())

    def _note(self, attempt: guesses.Attempt, staff: Staff | None) -> None:
        with self.records.writing() as work:
            guesses.demand_patience(work, attempt)
            guesses.note(work, attempt, staff)

    def who(self, token: str, *, used: bool = True) -> Actor:
        """Return whose token this is, and note that it was used, unless it only goes on listening.

        Raises
        ------
        Unauthenticated
            When it is unknown, too old, unused for too long, or its owner was disabled.
        """
        with self.records.reading() as work:
            found = select(Session, Staff).join(Staff, col(Staff.id) == Session.staff_id)
            row = work.session.exec(found.where(Session.token_sha256 == _digest(token))).first()
            now = work.now
        if row is None or not row[1].enabled or row[0].expires_at < now or row[0].used_at + self.idle < now:
            msg = "you are not signed in, or your sign-in has ended: sign in again"
            raise Unauthenticated(msg)
        if used and now - row[0].used_at > _TOUCH_AFTER:
            self._touch(row[0].token_sha256)
        return actor_of(row[1])

    def _touch(self, digest: str) -> None:
        with self.records.writing() as work:
            row = work.session.get(Session, digest)
            if row:
                row.used_at = work.now

    def me(self, actor: Actor) -> wire.Me:
        """Return the signed-in person as they travel."""
        with self.records.reading() as work:
            staff = work.session.get(Staff, actor.staff_id)
            if staff is None:
                msg = "you are no longer on the staff list"
                raise Unauthenticated(msg)
            return _me(work, staff, None)

    def sign_out(self, token: str) -> None:
        """End a sign-in; one that is not there is already ended."""
        with self.records.writing() as work:
            row = work.session.get(Session, _digest(token))
            if row is None:
                return
            staff = work.session.get_one(Staff, row.staff_id)
            work.session.delete(row)
            audit.record(work, actor_of(staff), "session.sign_out", staff.username)

    def confirm(self, actor: Actor, password: str) -> None:
        """Ask for the password again, as at a signature.

        Raises
        ------
        Refused
            When it is not the actor's own; TooSoon after too many of them.
        """
        attempt = guesses.Attempt(actor.name, guesses.SIGNATURE)
        with self.records.reading() as work:
            guesses.demand_patience(work, attempt)
            staff = work.session.get(Staff, actor.staff_id) if actor.staff_id else None
        if staff is None or not password_matches(self.hasher, staff.password_hash, password):
            self._note(attempt, staff)
            msg = "the password is wrong: nothing was signed, your text is kept"
            raise Refused(msg)


def password_matches(hasher: argon2.PasswordHasher, stored: str | None, password: str) -> bool:
    """Whether the password fits; takes as long for a name that does not exist."""
    with _HASHES_AT_ONCE:
        if stored is None:
            hasher.hash(password)
            return False
        try:
            return hasher.verify(stored, password)
        except argon2.exceptions.VerificationError:
            return False


def actor_of(staff: Staff) -> Actor:
    """Return a member of staff as an actor."""
    roles = (Role(role) for role in staff.roles)
    return access.person(staff.username, staff.site, *roles, staff_id=staff.id, full_name=staff.full_name)


def _me(work: Work, staff: Staff, row: Session | None) -> wire.Me:
    site = work.session.get(Site, staff.site)
    return wire.Me(
        username=staff.username, full_name=staff.full_name, roles=[Role(role) for role in staff.roles],
        site=staff.site, site_name=site.name if site else "", expires_at=wire.local(row.expires_at) if row else None,
    )  # fmt: skip


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


# -- the staff list --------------------------------------------------------------------------------------------------


def add(
    work: Work, actor: Actor, username: str, roles: list[Role], *, full_name: str = "",
    specialty: list[str] | None = None, password_hash: str | None = None, key: str | None = None,
) -> Staff:  # fmt: skip
    """Add a member of staff at the actor's site, with a password's hash or a public key.

    Raises
    ------
    Refused
        When the name is taken, the site unknown, or neither password nor key is given.
    """
    access.require(actor, Operation.ADMINISTER)
    username = username.strip()
    if not username or any(character.isspace() for character in username):
        msg = f"'{username}' is no user name: write it without spaces, such as wang.li"
        raise Invalid(msg)
    if work.session.exec(select(Staff).where(Staff.username == username)).first():
        msg = f"{username} is on the staff list already: use 'staff role', 'staff passwd' or 'staff enable'"
        raise Refused(msg)
    if work.session.get(Site, actor.site) is None:
        msg = f"site {actor.site} is not known: add it with 'photopeakd site add {actor.site} NAME'"
        raise NotFound(msg)
    if password_hash is None and key is None:
        msg = f"{username} needs a password or a key: give --password-stdin or --key FILE"
        raise Invalid(msg)
    staff = Staff(
        site=actor.site, username=username, full_name=full_name or username, roles=sorted(set(roles)),
        specialty=specialty or [], password_hash=password_hash, public_keys=[key] if key else [], created_at=work.now,
    )  # fmt: skip
    work.add(staff)
    audit.record(work, actor, "staff.add", username, roles=staff.roles)
    return staff


def hashed(hasher: argon2.PasswordHasher, password: str) -> str:
    """Return the hash to store for a new password; refuse one too short."""
    if len(password) < _SHORTEST_PASSWORD:
        msg = f"the password is too short: at least {_SHORTEST_PASSWORD} characters"
        raise Invalid(msg)
    with _HASHES_AT_ONCE:
        return hasher.hash(password)


def find(work: Work, username: str) -> Staff:
    """Return a member of staff by name."""
    staff = work.session.exec(select(Staff).where(Staff.username == username)).first()
    if staff is None:
        msg = f"{username} is not on the staff list: 'photopeakd staff list' shows who is"
        raise NotFound(msg)
    return staff


def change(
    work: Work, actor: Actor, username: str, *, roles: list[Role] | None = None, enabled: bool | None = None,
    password_hash: str | None = None, specialty: list[str] | None = None,
) -> Staff:  # fmt: skip
    """Change roles, password, specialty, or let in and out; whoever is changed is signed out."""
    access.require(actor, Operation.ADMINISTER)
    staff = find(work, username)
    given = {
        "roles": sorted(set(roles)) if roles else None,
        "enabled": enabled,
        "password_hash": password_hash,
        "specialty": specialty,
    }
    for name, value in given.items():
        if value is not None:
            setattr(staff, name, value)
    work.session.exec(delete(Session).where(col(Session.staff_id) == staff.id))
    work.add(staff)
    said = {name: value for name, value in given.items() if value is not None and name != "password_hash"}
    audit.record(work, actor, "staff.change", username, **said, password=password_hash is not None)
    return staff


def listing(work: Work, actor: Actor) -> list[wire.Staff]:
    """Return the staff of the actor's site; every site's for the operator."""
    access.require(actor, Operation.FIND)
    found = select(Staff).order_by(col(Staff.username))
    if actor.kind is access.ActorKind.PERSON:
        found = found.where(Staff.site == actor.site)
    return [shape(staff) for staff in work.session.exec(found)]


def shape(staff: Staff) -> wire.Staff:
    """Return a member of staff as they travel."""
    return wire.Staff(
        username=staff.username, full_name=staff.full_name, roles=[Role(role) for role in staff.roles],
        specialty=staff.specialty, enabled=staff.enabled, site=staff.site,
    )  # fmt: skip


# -- what was typed and not yet sent -----------------------------------------------------------------------------------


def save_draft(work: Work, actor: Actor, form: str, fields: dict[str, object]) -> None:
    """Keep what someone has typed into a form; empty fields let go of it, and the oldest of too many forms are let go.

    Raises
    ------
    Invalid
        It is more than anybody types.
    """
    row = _draft(work, actor, form)
    if not fields:
        if row:
            work.session.delete(row)
        return
    if len(form) > _LONGEST_FORM or len(json.dumps(fields, ensure_ascii=False)) > _LONGEST_DRAFT:
        raise Invalid(f"a draft is at most {_LONGEST_DRAFT} signs, the name of its form {_LONGEST_FORM}: send the form")
    if row is None:
        _make_room(work, actor)
    row = row or FormDraft(staff_id=actor.staff_id or 0, site=actor.site, form=form)
    row.fields, row.saved_at = fields, work.now
    work.session.add(row)


def _make_room(work: Work, actor: Actor) -> None:
    found = select(FormDraft).where(FormDraft.staff_id == actor.staff_id)
    for old in work.session.exec(found.order_by(col(FormDraft.saved_at).desc()).offset(_MOST_DRAFTS - 1)).all():
        work.session.delete(old)


def draft(work: Work, actor: Actor, form: str) -> dict[str, object]:
    """Return what was typed before; empty when nothing was."""
    row = _draft(work, actor, form)
    return row.fields if row else {}


def _draft(work: Work, actor: Actor, form: str) -> FormDraft | None:
    found = select(FormDraft).where(FormDraft.staff_id == actor.staff_id, FormDraft.form == form)
    return work.session.exec(found).first()
