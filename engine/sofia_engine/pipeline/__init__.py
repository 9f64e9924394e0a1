"""Parameters, steps, recipes, and the reduction that runs them."""
