"""What is made of images: asked for, made by a job in a process of its own, looked at, accepted or discarded.

The row is the truth and moves by `PROCESSING_AFTER` alone; what was made lies in a folder of its own until it is
accepted, when its objects come in through reception like any other. The pipelines (`spect`, `coregister`, `fuse`,
`lesion`) are pure: files in, stages and objects out; they know no row and no database.
"""
