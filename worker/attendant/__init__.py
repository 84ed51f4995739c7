"""The attendant: what people see of containers, for receivers, which never talk to the Engine."""
