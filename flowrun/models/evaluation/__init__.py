"""How good a model is: metrics, curves, slices, a comparison with the champion, thresholds."""
