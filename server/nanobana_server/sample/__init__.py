"""The sample picture of the empty state; SOURCE.md says where it comes from."""
