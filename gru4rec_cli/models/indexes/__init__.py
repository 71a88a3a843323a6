"""What the counting baselines look things up in: rules (item → items) and neighbours (session → sessions)."""
