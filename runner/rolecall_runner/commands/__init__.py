"""The command line's parts, one file a group of commands: each parses, calls one function, prints, exits."""
