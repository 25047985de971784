"""Named queries shipped with rolecall."""
