"""`runner query`: one read operation of AWS asked of every account and Region, answered as rows."""
