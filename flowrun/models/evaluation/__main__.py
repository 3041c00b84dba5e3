"""`python -m flowrun.models.evaluation`: what an `evaluate:` step runs."""

import sys

from flowrun.models.evaluation.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
