"""The verbs: each function is a command of the same name and a heading of the README."""
