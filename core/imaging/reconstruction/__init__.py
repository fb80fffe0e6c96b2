"""From projections to slices.

Inside this room a body is (row, column, slice) float32 with slices contiguous: every view touches all slices alike, so
one sparse matrix does for all of them. Rows run to the patient's back and columns to the left, both from the middle of
rotation; slices are the detector's rows; `placing` makes volumes of bodies. Nothing here knows files: `core.dicom`
brings projections and takes volumes.
"""
