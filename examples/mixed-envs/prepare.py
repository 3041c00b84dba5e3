"""Makes points of a curve with noise, and splits them: training and test set."""

import argparse

import flowrun
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("--rows", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
args = parser.parse_args()

generator = numpy.random.default_rng(args.seed)
x = generator.uniform(-1, 1, args.rows)
y = 2 * x**3 - x + 0.5 + generator.normal(0, 0.1, args.rows)
points = numpy.column_stack([x, y])

cut = args.rows // 5
numpy.savetxt("test.csv", points[:cut], "%.6f", delimiter=",", header="x,y", comments="")
numpy.savetxt("train.csv", points[cut:], "%.6f", delimiter=",", header="x,y", comments="")
flowrun.log_metric("rows", args.rows - cut)
flowrun.set_output("numpy", numpy.__version__)
print(f"{args.rows - cut} points to learn from, {cut} to check with, by numpy {numpy.__version__}")
