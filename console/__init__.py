"""The console: the department on a terminal, speaking to the service over HTTP."""
