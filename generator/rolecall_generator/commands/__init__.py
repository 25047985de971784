"""The groups of `gen`'s command line, one a module; `cli` puts them together."""
