"""The core: what an app, an image, a pushed file, an operation and a release are, and the store."""
