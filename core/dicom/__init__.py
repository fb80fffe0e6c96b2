"""DICOM as data: objects, codecs, character sets, matching; no network and no database."""
