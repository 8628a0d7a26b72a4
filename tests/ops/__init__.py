"""The primitives: one row each in `rows`, put through the same checks by `checking`."""
