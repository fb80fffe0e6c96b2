"""DICOM as data: objects, codecs, character sets, matching; no network and no database.

Importing this room mends pydicom once for the whole process (`charset.mend_pydicom`).
"""

from core.dicom.charset import mend_pydicom

mend_pydicom()
