"""``python -m admin``: the same as ``enclave``."""

from admin.command import main

main()
