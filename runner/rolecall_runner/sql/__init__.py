"""`runner sql`: the rows of queries as tables of a DuckDB in memory, and what changed between two runs."""
