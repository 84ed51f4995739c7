"""The `enclave` command: it brings the platform up, composes its processes and administers it."""
