"""The archive: takes objects in, finds them, gives them out."""
