"""A redeploy of an image that the Engine has, beside the bare Docker calls for its containers."""
