"""The service: everything the department knows and does, without a screen."""
