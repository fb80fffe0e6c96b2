"""Who works here, and who is signed in."""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from core.model.columns import document, listing, moment, site_code, when


class Staff(SQLModel, table=True):
    """A member of staff. `roles` holds values of `vocabulary.Role`; `specialty` names procedure groups read best."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    username: str = Field(unique=True, max_length=64)
    full_name: str = ""
    roles: list[str] = listing()
    specialty: list[str] = listing()
    password_hash: str | None = None
    public_keys: list[str] = listing()
    enabled: bool = True
    created_at: datetime = when()


class Session(SQLModel, table=True):
    """A sign-in. Only the SHA-256 of the token is kept; revoking it is deleting the row."""

    __tablename__ = "session"
    token_sha256: str = Field(primary_key=True, max_length=64)
    staff_id: int = Field(foreign_key="staff.id", index=True)
    site: str = site_code()
    created_at: datetime = when()
    used_at: datetime = when()
    expires_at: datetime = when()


class FormDraft(SQLModel, table=True):
    """What someone has typed into a form and not yet sent."""

    __table_args__ = (UniqueConstraint("staff_id", "form"),)
    id: int | None = Field(default=None, primary_key=True)
    staff_id: int = Field(foreign_key="staff.id", index=True)
    site: str = site_code()
    form: str = Field(max_length=64)
    fields: dict[str, object] = document()
    saved_at: datetime | None = moment()
