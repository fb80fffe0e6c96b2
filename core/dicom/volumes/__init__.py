"""Volumes of objects, and objects of volumes: the one place where pixels, geometry and meaning are put together.

Reading tolerates what cameras write and tells it in notes; what cannot be known is refused, never guessed unseen.
"""

from core.dicom.volumes.acquired import Acquired, acquired_in
from core.dicom.volumes.capture import secondary_capture
from core.dicom.volumes.made import Made
from core.dicom.volumes.planar import projected_in
from core.dicom.volumes.reading import volume_of, volumes_in
from core.dicom.volumes.registration import Registered, registered_in, spatial_registration, transform_of
from core.dicom.volumes.segmentation import segmentation
from core.dicom.volumes.series import resampled_series, written_like
from core.dicom.volumes.tomographic import recon_tomo
from core.dicom.volumes.uptake import suv_factor

__all__ = [
    "Acquired",
    "Made",
    "Registered",
    "acquired_in",
    "projected_in",
    "recon_tomo",
    "registered_in",
    "resampled_series",
    "secondary_capture",
    "segmentation",
    "spatial_registration",
    "suv_factor",
    "transform_of",
    "volume_of",
    "volumes_in",
    "written_like",
]
