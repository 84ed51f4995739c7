"""The `aptible` command. It stands alone: it imports no server package."""
