"""Cameras and other nodes we know by AE title."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from core.model.columns import document, listing, moment, site_code


class Device(SQLModel, table=True):
    """A registered node. `profile` may hold {"study_id_is_accession": bool}."""

    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code()
    aet: str = Field(unique=True, max_length=16)
    host: str = ""
    port: int = 104
    modalities: list[str] = listing()
    aliases: list[str] = listing()  # other AE titles it calls itself
    pool: str = Field(default="", max_length=16)
    tls: bool = False
    charset: str = ""  # Specific Character Set it can show; empty when not known
    profile: dict[str, object] = document()
    enabled: bool = True


class Heard(SQLModel, table=True):
    """When an AE title, registered or not, was last heard, and what it did."""

    aet: str = Field(primary_key=True, max_length=16)
    site: str = site_code()
    host: str = ""
    service: str = ""
    at: datetime | None = moment()
    objects: int = 0
