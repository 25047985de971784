"""The life of a customer: added, changed, renamed, removed, looked at. A change is shown as access before it is written."""
