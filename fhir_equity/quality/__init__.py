"""What counts: rules over members, distinct people, mergeable tallies, the audit document."""
