"""Headers: read-only cards, requirement checks, merging rules, output names."""
