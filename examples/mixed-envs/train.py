"""Fits a polynomial and writes its coefficients, highest power first."""

import argparse
import json

import flowrun
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("data")
parser.add_argument("--degree", type=int, required=True)
args = parser.parse_args()

x, y = numpy.loadtxt(args.data, delimiter=",", skiprows=1, unpack=True)
coefficients = numpy.polyfit(x, y, args.degree)
rmse = float(numpy.sqrt(numpy.mean((numpy.polyval(coefficients, x) - y) ** 2)))
with open("model.json", "w") as file:
    json.dump({"coefficients": coefficients.tolist()}, file)

flowrun.log_metric("rmse", rmse)
flowrun.set_output("numpy", numpy.__version__)
print(f"rmse {rmse:.3f}, by numpy {numpy.__version__}")
