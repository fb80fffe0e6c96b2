"""Non-standard in, standard out."""
