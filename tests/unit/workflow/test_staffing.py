"""Staff and sign-in: closed by default, ended by time, by the owner, and by the administrator."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import argon2
import pytest
from sqlmodel import col, select

from core import access
from core.errors import Forbidden, Invalid, Refused, TooSoon, Unauthenticated
from core.model import AuditEntry, Session, Site, Staff
from core.records import Records
from core.vocabulary import Role
from core.workflow import staffing
from core.workflow.staffing import SignIns
from tests.tables import laid

OPERATOR = access.operator("root", "MAIN")
HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sign_ins(tmp_path: Path, clock: Clock) -> Iterator[SignIns]:
    records = Records(laid(tmp_path / "staff.sqlite"), clock=clock, new_uid=lambda: "1.2.3")
    with records.writing() as work:
        work.add(Site(code="MAIN"))
        hashed = staffing.hashed(HASHER, "a long password")
        staffing.add(work, OPERATOR, "wang.li", [Role.CLERK], password_hash=hashed)
    yield SignIns(records, HASHER, timedelta(hours=1), timedelta(hours=10))
    records.close()


def test_a_token_says_who_one_is(sign_ins: SignIns) -> None:
    token = sign_ins.sign_in("wang.li", "a long password")
    actor = sign_ins.who(token.token)
    assert (actor.name, actor.roles, actor.site) == ("wang.li", frozenset({Role.CLERK}), "MAIN")


@pytest.mark.parametrize(("name", "password"), [("wang.li", "wrong password"), ("nobody", "a long password"), ("", "")])
def test_a_wrong_name_and_a_wrong_password_are_told_alike(sign_ins: SignIns, name: str, password: str) -> None:
    with pytest.raises(Unauthenticated, match="name or password is wrong"):
        sign_ins.sign_in(name, password)


def test_neither_token_nor_password_is_stored(sign_ins: SignIns) -> None:
    token = sign_ins.sign_in("wang.li", "a long password").token
    with sign_ins.records.reading() as work:
        stored = work.session.exec(select(Session)).one().token_sha256 + (
            work.session.exec(select(Staff)).one().password_hash or ""
        )
    assert token not in stored
    assert "a long password" not in stored


def test_a_sign_in_unused_for_long_ends(sign_ins: SignIns, clock: Clock) -> None:
    token = sign_ins.sign_in("wang.li", "a long password").token
    for _ in range(3):
        clock.now += timedelta(minutes=50)
        sign_ins.who(token)
    clock.now += timedelta(minutes=61)
    with pytest.raises(Unauthenticated):
        sign_ins.who(token)


def test_a_sign_in_ends_after_its_longest_time_though_used(sign_ins: SignIns, clock: Clock) -> None:
    token = sign_ins.sign_in("wang.li", "a long password").token
    for _ in range(11):
        clock.now += timedelta(minutes=50)
        sign_ins.who(token)
    clock.now += timedelta(minutes=55)
    with pytest.raises(Unauthenticated):
        sign_ins.who(token)


def test_signing_out_and_disabling_end_a_sign_in_at_once(sign_ins: SignIns) -> None:
    first, second = (sign_ins.sign_in("wang.li", "a long password").token for _ in range(2))
    sign_ins.sign_out(first)
    with pytest.raises(Unauthenticated):
        sign_ins.who(first)
    with sign_ins.records.writing() as work:
        staffing.change(work, OPERATOR, "wang.li", enabled=False)
    with pytest.raises(Unauthenticated):
        sign_ins.who(second)


def test_a_password_changed_while_it_is_looked_at_signs_nobody_in(sign_ins: SignIns) -> None:
    class Slow(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - argon2's own name
            right = super().verify(hash, password)
            with sign_ins.records.writing() as work:
                staffing.change(work, OPERATOR, "wang.li", password_hash=staffing.hashed(HASHER, "another password"))
            return right

    with pytest.raises(Unauthenticated):
        replace(sign_ins, hasher=Slow(time_cost=1, memory_cost=64, parallelism=1)).sign_in("wang.li", "a long password")


def test_listening_to_news_does_not_keep_a_sign_in_alive(sign_ins: SignIns, clock: Clock) -> None:
    token = sign_ins.sign_in("wang.li", "a long password").token
    for _ in range(2):
        clock.now += timedelta(minutes=25)
        sign_ins.who(token, used=False)
    clock.now += timedelta(minutes=25)
    with pytest.raises(Unauthenticated):
        sign_ins.who(token, used=False)


def test_signing_out_is_in_the_trail(sign_ins: SignIns) -> None:
    sign_ins.sign_out(sign_ins.sign_in("wang.li", "a long password").token)
    with sign_ins.records.reading() as work:
        entries = work.session.exec(select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(2)).all()
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("wang.li", "session.sign_out"), ("wang.li", "session.sign_in"),
    ]  # fmt: skip


def test_a_signature_needs_ones_own_password(sign_ins: SignIns) -> None:
    actor = sign_ins.who(sign_ins.sign_in("wang.li", "a long password").token)
    sign_ins.confirm(actor, "a long password")
    with pytest.raises(Refused, match="nothing was signed"):
        sign_ins.confirm(actor, "not it")


def test_only_an_administrator_changes_the_staff_list(sign_ins: SignIns) -> None:
    clerk = sign_ins.who(sign_ins.sign_in("wang.li", "a long password").token)
    with sign_ins.records.writing() as work, pytest.raises(Forbidden):
        staffing.change(work, clerk, "wang.li", roles=[Role.ADMIN])


def test_there_is_no_account_without_password_or_key(sign_ins: SignIns) -> None:
    with sign_ins.records.writing() as work, pytest.raises(Invalid, match="needs a password or a key"):
        staffing.add(work, OPERATOR, "new", [Role.ADMIN])
    with pytest.raises(Invalid, match="too short"):
        staffing.hashed(HASHER, "short")


def test_a_form_draft_is_its_owners_alone(sign_ins: SignIns) -> None:
    with sign_ins.records.writing() as work:
        hashed = staffing.hashed(HASHER, "another password")
        staffing.add(work, OPERATOR, "zhao", [Role.CLERK], password_hash=hashed)
    wang = sign_ins.who(sign_ins.sign_in("wang.li", "a long password").token)
    zhao = sign_ins.who(sign_ins.sign_in("zhao", "another password").token)
    with sign_ins.records.writing() as work:
        staffing.save_draft(work, wang, "registration", {"name": "Zh"})
        staffing.save_draft(work, wang, "registration", {"name": "Zhang"})
    with sign_ins.records.reading() as work:
        assert staffing.draft(work, wang, "registration") == {"name": "Zhang"}
        assert staffing.draft(work, zhao, "registration") == {}
    with sign_ins.records.writing() as work:
        staffing.save_draft(work, wang, "registration", {})
        assert staffing.draft(work, wang, "registration") == {}


def guess(sign_ins: SignIns, times: int, name: str = "wang.li", host: str = "10.0.0.7") -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated):
            sign_ins.sign_in(name, "wrong password", host)


@pytest.mark.parametrize("name", ["wang.li", "nobody"])
def test_after_five_wrong_passwords_one_waits_longer_each_time(sign_ins: SignIns, clock: Clock, name: str) -> None:
    guess(sign_ins, 5, name)
    for pause in (10, 20, 40):
        with pytest.raises(TooSoon, match=f"wait {pause} seconds") as refused:
            sign_ins.sign_in(name, "a long password", "10.0.0.7")
        assert refused.value.seconds == pause
        clock.now += timedelta(seconds=pause)
        guess(sign_ins, 1, name)


def test_who_waited_and_is_right_comes_in_and_begins_anew(sign_ins: SignIns, clock: Clock) -> None:
    guess(sign_ins, 5)
    clock.now += timedelta(seconds=10)
    assert sign_ins.sign_in("wang.li", "a long password", "10.0.0.7").username == "wang.li"
    guess(sign_ins, 4)
    assert sign_ins.sign_in("wang.li", "a long password", "10.0.0.7").username == "wang.li"


def test_nobody_locks_out_a_colleague_from_elsewhere(sign_ins: SignIns) -> None:
    guess(sign_ins, 5)
    assert sign_ins.sign_in("wang.li", "a long password", "10.0.0.8").username == "wang.li"


def test_a_host_that_tries_many_names_waits_for_all_of_them(sign_ins: SignIns) -> None:
    for number in range(60):
        guess(sign_ins, 1, f"name{number}")
    with pytest.raises(TooSoon):
        sign_ins.sign_in("wang.li", "a long password", "10.0.0.7")


def test_the_consoles_of_this_machine_do_not_wait_for_each_other(sign_ins: SignIns) -> None:
    for number in range(60):
        guess(sign_ins, 1, f"name{number}", "127.0.0.1")
    assert sign_ins.sign_in("wang.li", "a long password", "127.0.0.1").username == "wang.li"


def test_a_restart_forgives_no_guess(sign_ins: SignIns) -> None:
    guess(sign_ins, 5)
    with pytest.raises(TooSoon):
        replace(sign_ins).sign_in("wang.li", "a long password", "10.0.0.7")


def test_guesses_at_once_are_no_more_than_guesses_one_by_one(sign_ins: SignIns) -> None:
    said: list[str] = []

    def attempt() -> None:
        try:
            sign_ins.sign_in("wang.li", "wrong password", "10.0.0.7")
        except (Unauthenticated, TooSoon) as error:
            said.append(type(error).__name__)

    threads = [threading.Thread(target=attempt) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count("Unauthenticated") == 5


def test_a_wrong_password_stands_in_the_trail_and_what_was_typed_does_not(sign_ins: SignIns) -> None:
    guess(sign_ins, 1)
    guess(sign_ins, 1, "my secret, in the wrong field")
    with sign_ins.records.reading() as work:
        entries = work.session.exec(select(AuditEntry).where(AuditEntry.action == "session.refused")).all()
    assert [entry.subject for entry in entries] == ["wang.li", ""]
    assert "secret" not in str([entry.model_dump() for entry in entries])


def test_the_password_of_a_signature_is_not_guessed_either(sign_ins: SignIns) -> None:
    actor = sign_ins.who(sign_ins.sign_in("wang.li", "a long password").token)
    for _ in range(5):
        with pytest.raises(Refused, match="the password is wrong"):
            sign_ins.confirm(actor, "wrong password")
    with pytest.raises(TooSoon):
        sign_ins.confirm(actor, "a long password")
