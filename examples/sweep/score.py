"""Write down the mean error of all folds."""

import json
import sys

errors = [float(text) for text in sys.argv[1].split()]
with open("metrics.json", "w") as file:
    json.dump({"error": sum(errors) / len(errors)}, file)
print(f"mean of {len(errors)} folds: {sum(errors) / len(errors):.4f}")
