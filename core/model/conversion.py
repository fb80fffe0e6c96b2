"""What was mended: an object that came non-standard, with the file it came in and the standard one that goes out.

Like receipts, the rows outlive the index: what stands in them cannot be rebuilt from the archive's files alone.
"""

from datetime import datetime

from sqlmodel import Field, SQLModel, UniqueConstraint

from core.model.columns import listing, site_code, when


class Conversion(SQLModel, table=True):
    """An object's two files: as it came, and standard; the one without a path is the file of its image row."""

    __table_args__ = (UniqueConstraint("site", "sop_uid"),)
    id: int | None = Field(default=None, primary_key=True)
    site: str = site_code(index=False)
    sop_uid: str = Field(max_length=64, index=True)
    kind: str = Field(max_length=16)  # what came: dicom, acr-nema, interfile, png, jpeg, tiff, pdf
    repairs: list[str] = listing()
    charset_said: str = ""  # Specific Character Set as labelled, and the one its text was found to be in
    charset: str = ""
    confidence: float = 1.0  # of the charset, 0 to 1
    store: str = ""
    original_path: str = ""
    original_size: int = 0
    original_sha256: str = Field(default="", max_length=64, index=True)
    standard_path: str = ""
    standard_size: int = 0
    standard_sha256: str = Field(default="", max_length=64)
    standard_syntax: str = Field(default="", max_length=64)  # transfer syntax of the standard file
    at: datetime = when()


class Examination(SQLModel, table=True):
    """How far stored objects have been examined for what is non-standard in them: up to which image row."""

    store: str = Field(primary_key=True)
    image_id: int = 0
