"""Git comes in: receive-pack and upload-pack over dulwich, on SSH and smart HTTP."""
