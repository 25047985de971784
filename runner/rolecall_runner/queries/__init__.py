"""Queries that ship with the package, one YAML file each; see `tasks.query.named`."""
