"""Small projects that several tests run. Their steps use the shell: no environment to build."""

from __future__ import annotations

ONE_STEP = {
    "MLproject": """\
name: one
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
    command: "echo alpha={alpha}"
""",
}

PIPELINE = {
    "MLproject": """\
name: pipe
entry_points:
  prepare:
    parameters:
      source: path
    command: "mkdir data && sort {source} > data/sorted.txt && echo lines=3 >> $FLOWRUN_OUTPUT"
    outputs: {table: data}
  train:
    parameters:
      table: path
      lr: {type: float, default: 0.1}
    command: >-
      cat {table}/sorted.txt &&
      printf '{{"loss": %s}}' {lr} > m.json &&
      cp m.json out.json
    metrics: m.json
    outputs: {result: out.json}
  main:
    parameters:
      lr: {type: float, default: 0.3}
    steps:
      prepare:
        with: {source: words.txt}
      train:
        matrix: {lr: ["${{ params.lr }}", 0.1, 0.2]}
        with: {table: "${{ steps.prepare.outputs.table }}", lr: "${{ matrix.lr }}"}
      best:
        select: {from: train, metric: loss, mode: min}
      report:
        run: "cat {result}; echo; echo best is {lr} of {lines}"
        with:
          result: "${{ steps.best.outputs.result }}"
          lr: "${{ steps.best.params.lr }}"
          lines: "${{ steps.prepare.outputs.lines }}"
""",
    "words.txt": "pear\napple\nfig\n",
}

MODEL_PIPELINE = {
    "MLproject": """\
name: models
entry_points:
  train:
    parameters:
      rmse: float
    command: >-
      mkdir model && cp template/MLmodel model/ && echo {rmse} > model/weights &&
      printf '{{"rmse": %s}}' {rmse} > m.json
    metrics: m.json
    outputs: {model: {path: model, type: model}}
  main:
    parameters:
      rmse: {type: float, default: 0.7}
    steps:
      train:
        with: {rmse: "${{ params.rmse }}"}
      register:
        register: {name: demo, model: "${{ steps.train.outputs.model }}"}
      promote:
        promote:
          name: demo
          version: "${{ steps.register.outputs.version }}"
          to: Production
          alias: champion
        if: "${{ champion is none or steps.train.metrics.rmse < champion.metrics.rmse }}"
""",
    "template/MLmodel": """\
flavors:
  python_function:
    loader_module: demo
    python_version: 3.11.7
model_uuid: 0123456789abcdef0123456789abcdef
utc_time_created: '2026-01-01 00:00:00.000000'
""",
}
