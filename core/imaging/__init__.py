"""What is computed from arrays alone: it knows no database, no file store and no network."""
