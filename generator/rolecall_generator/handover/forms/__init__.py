"""The forms of one access, one a module: each takes a `Handover` and gives files by their path in the bundle."""
