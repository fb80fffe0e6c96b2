"""The HTTP face: one router per activity, each a thin translation to one workflow function.

A route opens the unit of work, calls the workflow, and leaves it before it answers: what is answered is committed.
"""
