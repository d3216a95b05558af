"""Tallies -> tables that may be published: small counts are hidden, and an attacker tries to find them.

`cells` are counts and what everybody knows of how they hang together; `body`, `programs` and `strata` find them in
an audit document, `protect` hides, `attack` seeks what was hidden, `earlier` knows what readers have already, and
`document` is the result.
"""
