"""Models of libraries that stand on PyTorch; `test_with_torch.py` runs these where they are."""
