"""`runner sql` and Parquet: rows of recorded queries in DuckDB, and what changed between two runs."""
