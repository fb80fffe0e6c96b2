"""Bringing images of one patient into one space.

A transform is rigid and goes from the fixed image's patient millimetres to the moving one's: it says where to look up
what lies at a place of the fixed image. Patients are registered, images are coregistered.
"""
