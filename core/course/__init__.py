"""The course of an exam: the only mover of exam and step states, keeper of image counts, builder of the exam's shape.

An exam's state follows from what is on record (assignment, protocol, steps, images, report): `settle` works it out
anew after each change and moves it by the table, so that a correction taken back finds its way home by itself.
"""

from core.course.finding import find_exam, one_person, procedure_of, steps_of, survivor_id
from core.course.making import PROCESSING, RULE, move_processing, processing_of, projections_of, queue_processing
from core.course.moving import close, count_images, move_step, reopen, settle
from core.course.showing import dose_shape, images_state, lock_reason, namesakes_today, shape, shapes

__all__ = [
    "PROCESSING",
    "RULE",
    "close",
    "count_images",
    "dose_shape",
    "find_exam",
    "images_state",
    "lock_reason",
    "move_processing",
    "move_step",
    "namesakes_today",
    "one_person",
    "procedure_of",
    "processing_of",
    "projections_of",
    "queue_processing",
    "reopen",
    "settle",
    "shape",
    "shapes",
    "steps_of",
    "survivor_id",
]
