"""A unit of work in SQL: one file a subject."""
