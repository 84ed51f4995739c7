"""Messages go out: users' webhooks are told of the ends of operations."""
