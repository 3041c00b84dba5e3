"""Fit a polynomial to a fold by least squares, and measure its error on the points left out."""

import json
import sys

fold, degree, ridge = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open(fold) as file:
    parts = json.load(file)

size = degree + 1
powers = [([x**power for power in range(size)], y) for x, y in parts["fit"]]
matrix = [
    [sum(p[i] * p[j] for p, _ in powers) + (ridge if i == j else 0) for j in range(size)]
    + [sum(p[i] * y for p, y in powers)]
    for i in range(size)
]
for column in range(size):
    best = max(range(column, size), key=lambda row: abs(matrix[row][column]))
    matrix[column], matrix[best] = matrix[best], matrix[column]
    for row in range(size):
        if row != column:
            factor = matrix[row][column] / matrix[column][column]
            matrix[row] = [a - factor * b for a, b in zip(matrix[row], matrix[column])]
weights = [matrix[row][size] / matrix[row][row] for row in range(size)]

errors = [
    (sum(w * x**power for power, w in enumerate(weights)) - y) ** 2 for x, y in parts["check"]
]
error = (sum(errors) / len(errors)) ** 0.5
with open("metrics.json", "w") as file:
    json.dump({"error": error}, file)
print(f"degree {degree}, ridge {ridge}: error {error:.4f}")
