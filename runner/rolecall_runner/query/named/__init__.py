"""The named queries that come with rolecall."""
