"""Git comes in: receive-pack over dulwich, upload-pack by git, on SSH and smart HTTP."""
