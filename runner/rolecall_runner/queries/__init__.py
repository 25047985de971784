"""Queries that ship with the package, one YAML file each; `tasks.query.validate` reads them."""
