"""Rules over Access: one family a file, each rule with an id, a severity and a page of documentation."""
