"""A made-up department for learning and for proof: staff, patients, cameras and a day, worked through the real faces.

People work over HTTP and cameras over DICOM, as they do in a real department, so that the audit trail is true.
"""
