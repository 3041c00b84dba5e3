"""Which finished run stands for a step, so that it need not run, and why."""
