"""The HTTP API that the toolbelt speaks: HAL resources, tokens, operations and their logs."""
