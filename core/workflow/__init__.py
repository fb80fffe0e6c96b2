"""What the department does, one file per activity.

Each function takes the unit of work and the actor, asks `access` first, and raises `Refused` when the rules say no.
"""
