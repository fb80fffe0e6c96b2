"""The tables, one file per noun; importing this registers all of them.

Rows are plain: foreign keys without relationships, and nothing lazy leaves a unit of work.
"""

from core.model.consultation import Consultation, Opinion
from core.model.conversion import Conversion, Examination
from core.model.device import Device, Heard
from core.model.dose import Administration, AdministrationStep
from core.model.event import AuditEntry, Event
from core.model.exam import Check, Exam, PerformedStep, Procedure, Request, Step
from core.model.image import (
    Batch,
    BatchSeries,
    Correction,
    Image,
    Quarantined,
    Receipt,
    SentPatient,
    Series,
    Study,
)
from core.model.job import Delivery, Job
from core.model.patient import Identifier, Patient, PatientMerge, PatientTerm, Visit
from core.model.processing import Processing
from core.model.proof import Damage, Proof
from core.model.report import CallToTechnologist, ImagesChanged, Lease, RejectedText, Report, ReportVersion
from core.model.site import Serial, Site
from core.model.staff import FormDraft, Session, Staff
from core.model.tier import BackupCopy, TierMove

__all__ = [
    "Administration",
    "AdministrationStep",
    "AuditEntry",
    "BackupCopy",
    "Batch",
    "BatchSeries",
    "CallToTechnologist",
    "Check",
    "Consultation",
    "Conversion",
    "Correction",
    "Damage",
    "Delivery",
    "Device",
    "Event",
    "Exam",
    "Examination",
    "FormDraft",
    "Heard",
    "Identifier",
    "Image",
    "ImagesChanged",
    "Job",
    "Lease",
    "Opinion",
    "Patient",
    "PatientMerge",
    "PatientTerm",
    "PerformedStep",
    "Procedure",
    "Processing",
    "Proof",
    "Quarantined",
    "Receipt",
    "RejectedText",
    "Report",
    "ReportVersion",
    "Request",
    "SentPatient",
    "Serial",
    "Series",
    "Session",
    "Site",
    "Staff",
    "Step",
    "Study",
    "TierMove",
    "Visit",
]
