"""The shipped knowledge of the nano model: pictures, their names in many languages, and retrieval by prompt."""
