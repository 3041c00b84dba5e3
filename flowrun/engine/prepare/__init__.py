"""From what is asked for to a plan with all that it takes."""
