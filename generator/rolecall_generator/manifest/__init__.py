"""accounts.yaml as frozen models: reading, validation with places, JSON Schema, the starter file."""
