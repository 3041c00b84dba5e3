# ruff: noqa: E501 - the tables hold whole lines
"""What is said against a project file: the whole text, in place."""

from __future__ import annotations

import pytest

from tests.spec.reading import mistakes_of, read

COMMANDS = {
    "no entry point at all": (
        "[a, b]",
        "MLproject:1:1: a project file is a map of keys such as 'entry_points'",
    ),
    "entry point without command": (
        "entry_points:\n  main: {parameters: {a: int}}",
        "MLproject:2:3: entry point 'main' has neither 'command' nor 'steps'",
    ),
    "empty entry point": (
        "entry_points:\n  main:",
        "MLproject:2:8: entry point 'main' must be a map with a 'command' or 'steps'",
    ),
    "both command and steps": (
        "entry_points:\n  main: {command: ls, steps: {a: {run: ls}}}",
        "MLproject:2:10: entry point 'main' has both 'steps' and 'command'; keep one of them",
    ),
    "unknown placeholder": (
        "entry_points:\n  main:\n    parameters: {alpha: float}\n    command: 'train {alhpa}'",
        "MLproject:4:14: 'command' of entry point 'main' uses {alhpa}, which is no parameter. Did you mean 'alpha'?",
    ),
    "single brace": (
        "entry_points:\n  main: {command: 'awk }'}",
        "MLproject:2:19: 'command' of entry point 'main': Single '}' encountered in format string; a literal brace is written {{ or }}",
    ),
    "attribute access": (
        "entry_points:\n  main: {parameters: {p: int}, command: 'echo {p.__class__}'}",
        "MLproject:2:41: 'command' of entry point 'main': {p.__class__} reaches into a value; only a parameter's name may stand",
    ),
    "conversion": (
        "entry_points:\n  main: {parameters: {p: int}, command: 'echo {p!r}'}",
        "MLproject:2:41: 'command' of entry point 'main': {p!r} would break the value's quotes; write {p}",
    ),
    "precision": (
        "entry_points:\n  main: {parameters: {p: int}, command: 'echo {p:.3}'}",
        "MLproject:2:41: 'command' of entry point 'main': {p:.3} would break the value's quotes; write {p}",
    ),
    "positional placeholder": (
        "entry_points:\n  main: {command: 'find . -exec ls {} +'}",
        "MLproject:2:19: 'command' of entry point 'main': {} names no parameter; a literal {} is written {{}}",
    ),
    "expression in a command": (
        "entry_points:\n  main: {command: 'echo ${{ params.x }}'}",
        "MLproject:2:19: 'command' of entry point 'main' can't hold an expression: a value never becomes shell text. Set a name in the step's 'with' to it, and write {name} here",
    ),
    "default of the wrong type": (
        "entry_points:\n  main:\n    parameters: {a: {type: float, default: fast}}\n    command: ls",
        "MLproject:3:44: default 'fast' of parameter 'a' of entry point 'main' is not a float (check: false turns this check off)",
    ),
    "default below the minimum": (
        "entry_points:\n  main:\n    parameters: {a: {type: int, default: -1, min: 0}}\n    command: ls",
        "MLproject:3:42: default '-1' of parameter 'a' of entry point 'main' is less than 0 (check: false turns this check off)",
    ),
    "minimum for text": (
        "entry_points:\n  main:\n    parameters: {a: {type: string, min: 0}}\n    command: ls",
        "MLproject:3:36: 'min' of parameter 'a' of entry point 'main' is for int and float, not for text",
    ),
    "enum without values": (
        "entry_points:\n  main:\n    parameters: {a: enum, b: {type: enum, default: x}}\n    command: ls",
        "MLproject:3:21: parameter 'a' of entry point 'main' is an enum; it needs 'values', a list\n"
        "MLproject:3:30: parameter 'b' of entry point 'main' is an enum; it needs 'values', a list",
    ),
    "default that is not in the enum": (
        "entry_points:\n  main:\n    parameters: {a: {type: enum, values: [small, large], default: smal}}\n    command: ls",
        "MLproject:3:67: default 'smal' of parameter 'a' of entry point 'main' is not small or large. Did you mean 'small'? (check: false turns this check off)",
    ),
    "default that is no list": (
        "entry_points:\n  main:\n    parameters: {a: {type: list, default: x}, b: {type: json, default: '{'}}\n    command: ls",
        "MLproject:3:43: default 'x' of parameter 'a' of entry point 'main' is not a list in JSON, such as [1, 2] (check: false turns this check off)\n"
        "MLproject:3:72: default '{' of parameter 'b' of entry point 'main' is not JSON (check: false turns this check off)",
    ),
    "default beside the pattern": (
        "entry_points:\n  main:\n    parameters: {a: {default: V2, pattern: 'v[0-9]+'}}\n    command: ls",
        "MLproject:3:31: default 'V2' of parameter 'a' of entry point 'main' does not fit the pattern v[0-9]+ (check: false turns this check off)",
    ),
    "pattern that could take for ever": (
        "entry_points:\n  main:\n    parameters: {a: {pattern: '(a+)+$'}}\n    command: ls",
        "MLproject:3:31: 'pattern' of parameter 'a' of entry point 'main' can't be used: it repeats a repetition or a choice, which could take too long",
    ),
    "keys of other types": (
        "entry_points:\n  main:\n    parameters: {a: {type: int, pattern: x, flag: -v, values: [1]}}\n    command: ls",
        "MLproject:3:33: 'pattern' of parameter 'a' of entry point 'main' is for string, path and uri\n"
        "MLproject:3:45: 'flag' of parameter 'a' of entry point 'main' is for a bool\n"
        "MLproject:3:55: 'values' of parameter 'a' of entry point 'main' is for an enum, not for int",
    ),
    "minimum above maximum": (
        "entry_points:\n  main:\n    parameters: {a: {type: int, min: 2, max: 1}}\n    command: ls",
        "MLproject:3:33: 'min' of parameter 'a' of entry point 'main' is greater than its 'max'",
    ),
    "parameter that is a default": (
        "entry_points:\n  main:\n    parameters: {a: 5}\n    command: ls",
        "MLproject:3:21: parameter 'a' of entry point 'main' must be a type such as 'float', or a map such as {type: float, default: 0.1}",
    ),
    "parameter name that is shell": (
        "entry_points:\n  main:\n    parameters: {'a;ls': string}\n    command: ls",
        "MLproject:3:18: 'a;ls' can't name a parameter: letters, digits and _ - . : / only",
    ),
    "two environments": (
        "python_env: p.yaml\nconda_env: c.yaml",
        "MLproject:2:1: the project sets both python_env and conda_env; use only one of them",
    ),
    "environment outside": (
        "python_env: ../python_env.yaml",
        "MLproject:1:13: 'python_env' of the project must be a relative path without '..', not '../python_env.yaml'",
    ),
    "name that can't be printed": (
        'entry_points:\n  "a\\e[31m": {comand: ls, command: ls}',
        "MLproject:2:3: 'a\\x1b[31m' can't name an entry point: it can't be printed",
    ),
    "docker without image": (
        "docker_env: {volumes: [a]}",
        "MLproject:1:13: docker_env of the project has no 'image' and no 'build'",
    ),
    "docker args": (
        "docker_env: {image: a, args: {privileged: true}}",
        "MLproject:1:24: 'args' of docker_env of the project is not available in this version of flowrun; give them on the command line: --docker-args NAME=VALUE",
    ),
    "docker build outside": (
        "docker_env: {build: ../images}",
        "MLproject:1:21: 'build' of docker_env of the project must be a relative path without '..', not '../images'",
    ),
    "docker build key": (
        "docker_env: {build: {contxt: a}}",
        "MLproject:1:22: build of docker_env of the project has no key 'contxt'. Did you mean 'context'?",
    ),
    "docker build arguments": (
        "docker_env: {build: {args: [{BASE: a}]}}",
        "MLproject:1:29: 'args' of build of docker_env of the project lists names to copy and [NAME, value] pairs",
    ),
    "docker gpus": (
        "docker_env: {image: a, gpus: some}",
        "MLproject:1:30: 'gpus' of docker_env of the project must be all, a count, or a list of devices",
    ),
    "docker platform": (
        "docker_env: {image: a, platform: arm}",
        "MLproject:1:34: 'platform' of docker_env of the project must be like linux/amd64, not 'arm'",
    ),
    "docker shm_size": (
        "docker_env: {image: a, shm_size: much}",
        "MLproject:1:34: 'shm_size' of docker_env of the project must be a size such as 512MiB or 2GB, not 'much'",
    ),
    "docker mount without target": (
        "docker_env: {image: a, mounts: [{source: /a}]}",
        "MLproject:1:33: mount of docker_env of the project needs a 'target', an absolute path in it",
    ),
    "docker mount of nothing": (
        "docker_env: {image: a, mounts: [{target: /a}]}",
        "MLproject:1:33: mount of docker_env of the project, of type bind, needs a 'source'",
    ),
    "docker mount type": (
        "docker_env: {image: a, mounts: [{type: nfs, source: /a, target: /a}]}",
        "MLproject:1:40: 'type' of mount of docker_env of the project must be bind, volume or tmpfs, not 'nfs'",
    ),
    "docker mounts that are no maps": (
        "docker_env: {image: a, mounts: ['/a:/b']}",
        "MLproject:1:33: 'mounts' of docker_env of the project lists maps with 'source' and 'target'",
    ),
    "databricks": (
        "databricks_spark_job: {python_file: a.py}",
        "MLproject:1:1: 'databricks_spark_job' runs on Databricks alone, which flowrun does not do; give the project an entry point with a command",
    ),
    "retries": (
        "entry_points:\n  main: {command: ls, retries: -1, backoff: soon, retry_on: [0, SIGKIL, oom], timeout: 3}",
        "MLproject:2:32: 'retries' of entry point 'main' must be a whole number, 0 to 100\n"
        "MLproject:2:45: 'backoff' of entry point 'main' must be like 30s, 10m or 2h, not 'soon'\n"
        "MLproject:2:62: '0' in 'retry_on' of entry point 'main' must be an exit code (1 to 255), a signal such as SIGKILL, out-of-memory, lost or timeout.\n"
        "MLproject:2:65: 'SIGKIL' in 'retry_on' of entry point 'main' must be an exit code (1 to 255), a signal such as SIGKILL, out-of-memory, lost or timeout. Did you mean 'SIGKILL'?\n"
        "MLproject:2:73: 'oom' in 'retry_on' of entry point 'main' must be an exit code (1 to 255), a signal such as SIGKILL, out-of-memory, lost or timeout.\n"
        "MLproject:2:88: 'timeout' of entry point 'main' must be like 30s, 10m or 2h, not '3'",
    ),
    "backoff": (
        "entry_points:\n  main: {command: ls, backoff: {first: 1, growth: 0.5, max: 3s}}",
        "MLproject:2:40: 'first' of backoff of entry point 'main' must be like 30s, 10m or 2h, not '1'\n"
        "MLproject:2:43: 'growth' of backoff of entry point 'main' must be 1 or more\n"
        "MLproject:2:56: backoff of entry point 'main' has no key 'max'. Known are: first, growth, limit.",
    ),
    "resources by attempt": (
        "entry_points:\n  main: {command: ls, resources: {cpus: [1, many], memory: [], gpus: [0.5]}}",
        "MLproject:2:45: 'cpus' of resources of entry point 'main' must be a number\n"
        "MLproject:2:60: 'memory' of resources of entry point 'main' is an empty list\n"
        "MLproject:2:64: 'gpus' of resources of entry point 'main' must be a whole number",
    ),
    "retries of a pipeline": (
        "entry_points:\n  main: {retries: 2, timeout: 1h, steps: {a: {run: ls}}}",
        "MLproject:2:10: entry point 'main' is a pipeline; 'retries' belongs on its steps\n"
        "MLproject:2:22: entry point 'main' is a pipeline; 'timeout' belongs on its steps",
    ),
    "another executor": (
        "entry_points:\n  main: {command: ls, executor: kubernetes}",
        "MLproject:2:33: 'executor: kubernetes' of entry point 'main' is not available in this version of flowrun; only 'local' is",
    ),
    "output outside": (
        "entry_points:\n  main: {command: ls, outputs: {a: /etc, b: ../b, c: {type: path}, d: {path: d, type: table}}}",
        "MLproject:2:36: output 'a' of entry point 'main' must be a relative path without '..', not '/etc'\n"
        "MLproject:2:45: output 'b' of entry point 'main' must be a relative path without '..', not '../b'\n"
        "MLproject:2:51: output 'c' of entry point 'main' has no 'path'\n"
        "MLproject:2:87: 'type' of output 'd' of entry point 'main' must be path or model, not 'table'",
    ),
    "temporary output": (
        "entry_points:\n  main: {command: ls, outputs: {a: {path: a, type: model, temp: true}, b: {path: b, temp: 1}}}",
        "MLproject:2:33: output 'a' of entry point 'main' is a model, which is not temporary\n"
        "MLproject:2:91: 'temp' of output 'b' of entry point 'main' must be true or false",
    ),
    "tolerances": (
        "entry_points:\n  main: {command: ls, outputs: {a: {path: a, rtol: -1, atol: x}}, metrics: {path: m, repeat: 0, rtol: .inf, each: {a: 1, b: {repeat: 2}}}}",
        "MLproject:2:46: 'rtol' of output 'a' of entry point 'main' must be 0 or more\n"
        "MLproject:2:56: 'atol' of output 'a' of entry point 'main' must be a number\n"
        "MLproject:2:86: 'repeat' of metrics of entry point 'main' must be a whole number from 1 to 100\n"
        "MLproject:2:97: 'rtol' of metrics of entry point 'main' must be a number\n"
        "MLproject:2:116: metric 'a' of entry point 'main' must be a map with 'rtol' or 'atol'\n"
        "MLproject:2:126: metric 'b' of entry point 'main' has no key 'repeat'. Known are: rtol, atol.",
    ),
    "sizes": (
        "entry_points:\n  main: {command: ls, resources: {cpus: 0, memory: 2G}}",
        "MLproject:2:35: 'cpus' of resources of entry point 'main' must be more than 0\n"
        "MLproject:2:52: 'memory' of resources of entry point 'main' must be a size such as 512MiB or 2GB, not '2G'",
    ),
    "variables": (
        "entry_points:\n  main: {command: ls, env: {1A: x, B: '${{ params.x }}', C: }, secrets: [a-b]}",
        "MLproject:2:29: '1A' in 'env' of entry point 'main' can't name an environment variable: letters, digits and '_' only, no digit first\n"
        "MLproject:2:39: 'B' in 'env' of entry point 'main' can't be an expression; a step's own 'env' can\n"
        "MLproject:2:61: 'C' in 'env' of entry point 'main' has no value\n"
        "MLproject:2:74: 'a-b' in 'secrets' of entry point 'main' can't name an environment variable: letters, digits and '_' only, no digit first",
    ),
}


@pytest.mark.parametrize(("text", "message"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_mistake_in_an_entry_point_is_told_in_place(text: str, message: str) -> None:
    assert mistakes_of(text) == message


PRELUDE = """
entry_points:
  prepare:
    parameters: {source: path, size: {type: float, default: 0.2, max: 1}}
    command: 'prepare {source} {size}'
    outputs: {dataset: data}
  train:
    parameters: {dataset: path, lr: {type: float, default: 0.1}}
    command: 'train {dataset} {lr}'
    outputs: {model: {path: model, type: model}}
  inner:
    parameters: {depth: int}
    outputs: {model: '${{ steps.fit.outputs.model }}'}
    steps: {fit: {run: fit, outputs: {model: m}}}
  main:
    parameters: {lr: {type: float, default: 0.1}}
    steps:
"""
"""What a test adds begins in line 17, the first being cut off."""

PREPARE = "      prepare: {with: {source: a.csv}}\n"

EVALUATE = """\
      a:
        evaluate:
          model: m
          data: d.csv
          target: t
          type: regressor
          thresholds:"""

STEPS = {
    "unknown key": (
        "      a: {run: ls, neds: [b]}",
        "17:20: step 'a' has no key 'neds'. Did you mean 'needs'?",
    ),
    "two actions": (
        "      a: {run: ls, select: {from: b, metric: c, mode: min}}",
        "17:20: step 'a' has both 'run' and 'select'; a step does one thing",
    ),
    "no action": (
        "      tain: {with: {dataset: a}}",
        "17:7: step 'tain' says nothing to do, and there is no entry point 'tain' it could call. Did you mean 'train'?",
    ),
    "misspelt action": (
        "      a: {rnu: ls}",
        "17:11: step 'a' has no key 'rnu'. Did you mean 'run'?",
    ),
    "empty action": ("      a: {run: }", "17:11: 'run' of step 'a' is empty"),
    "unknown entry point": (
        "      a: {entry_point: trian}",
        "17:24: step 'a' calls 'trian', which is no entry point of this project. Did you mean 'train'?",
    ),
    "missing parameter": (
        "      prepare:",
        "17:7: step 'prepare' gives no 'source' in its 'with', which entry point 'prepare' requires",
    ),
    "argument of the wrong type": (
        "      prepare: {with: {source: a, size: big}}",
        "17:41: 'big' for 'size' of step 'prepare' is not a float",
    ),
    "argument out of range": (
        "      prepare: {with: {source: a, size: 2}}",
        "17:41: '2' for 'size' of step 'prepare' is more than 1",
    ),
    "argument that a pipeline has not": (
        "      inner: {with: {depth: 1, dpth: 2}}",
        "17:32: step 'inner' gives 'dpth' to pipeline 'inner', which has no such parameter. Did you mean 'depth'?",
    ),
    "argument without value": (
        "      prepare: {with: {source: }}",
        "17:32: 'source' in 'with' of step 'prepare' has no value",
    ),
    "argument that is a list": (
        "      a: {run: 'ls {x}', with: {x: [1]}}",
        "17:36: 'x' in 'with' of step 'a' must be a single value",
    ),
    "option name that is shell": (
        "      prepare: {with: {source: a, 'x;ls': 1}}",
        "17:35: 'x;ls' in 'with' of step 'prepare' can't become an option: letters, digits and _ - . : / only",
    ),
    "unknown need": (
        PREPARE + "      b: {run: ls, needs: [prepare, prepp]}",
        "18:37: step 'b' needs 'prepp', which is no step of 'main'. Did you mean 'prepare'?",
    ),
    "itself": ("      b: {run: ls, needs: b}", "17:27: step 'b' needs itself"),
    "circle": (
        "      a: {run: ls, needs: c}\n      b: {run: ls, needs: a}\n      c: {run: 'ls {x}', with: {x: '${{ steps.b.run_id }}'}}",
        "17:7: steps wait for each other: a -> b -> c -> a",
    ),
    "unknown step in an expression": (
        PREPARE + "      b: {run: 'ls {x}', with: {x: '${{ steps.prep.outputs.dataset }}'}}",
        "18:36: step 'b': steps.prep: 'main' has no step 'prep'. Did you mean 'prepare'?",
    ),
    "unknown field": (
        PREPARE + "      b: {run: 'ls {x}', with: {x: '${{ steps.prepare.output.dataset }}'}}",
        "18:36: step 'b': steps.prepare.output: a step has outputs, metrics, params, run_id, status. Did you mean 'outputs'?",
    ),
    "misspelt output": (
        PREPARE + "      b: {run: 'ls {x}', with: {x: '${{ steps.prepare.outputs.datset }}'}}",
        "18:36: step 'b': steps.prepare.outputs.datset: step 'prepare' declares no output 'datset'. Did you mean 'dataset'?",
    ),
    "output that a pipeline has not": (
        "      inner: {with: {depth: 1}}\n      b: {run: 'ls {x}', with: {x: '${{ steps.inner.outputs.table }}'}}",
        "18:36: step 'b': steps.inner.outputs.table: step 'inner' has no output 'table'. It has: model.",
    ),
    "metrics of a pipeline": (
        "      inner: {with: {depth: 1}}\n      b: {run: 'ls {x}', with: {x: '${{ steps.inner.metrics.rmse }}'}}",
        "18:36: step 'b': steps.inner.metrics.rmse: step 'inner' has no metric 'rmse'. It has: none.",
    ),
    "a map for one value": (
        PREPARE + "      b: {run: 'ls {x}', with: {x: '${{ steps.prepare.outputs }}'}}",
        "18:36: step 'b': steps.prepare.outputs is a map; name one of its values",
    ),
    "hyphen as minus": (
        "      a-b: {run: ls}\n      b: {run: 'ls {x}', with: {x: '${{ steps.a-b.outputs.x }}'}}",
        "18:36: step 'b': 'b' is no name here; an expression knows params, steps, matrix, item, env, champion. Write steps['a-b']: in an expression '-' is a minus.",
    ),
    "unknown parameter": (
        "      a: {run: 'ls {x}', with: {x: '${{ params.rl }}'}}",
        "17:36: step 'a': params.rl: pipeline 'main' has no 'rl'. It has: lr.",
    ),
    "unknown axis": (
        "      a: {run: 'ls {x}', matrix: {lr: [1]}, with: {x: '${{ matrix.depth }}'}}",
        "17:55: step 'a': matrix.depth: the matrix of step 'a' has no 'depth'. It has: lr.",
    ),
    "champion outside of promote": (
        "      a: {run: ls, if: champion is none}",
        "17:24: step 'a': 'champion' has a meaning only in a promote step",
    ),
    "status outside of if": (
        "      a: {run: 'ls {x}', with: {x: '${{ success() }}'}}",
        "17:36: step 'a': success() has a meaning only in an 'if'",
    ),
    "text around an if": (
        "      a: {run: ls, if: 'a ${{ params.lr }}'}",
        "17:24: step 'a': an 'if' is one expression; text beside '${{ }}' would always be true",
    ),
    "no end": (
        "      a: {run: 'ls {x}', with: {x: '${{ params.lr }'}}",
        "17:36: step 'a': '${{' without the '}}' that ends it",
    ),
    "no expression": (
        "      a: {run: ls, if: params.lr >}",
        "17:24: step 'a': 'params.lr >': unexpected 'end of template'",
    ),
    "unknown filter": (
        "      a: {run: ls, if: params.lr | rond > 1}",
        "17:24: step 'a': there is no filter 'rond'. Did you mean 'round'?",
    ),
    "foreach's item": (
        "      a: {run: ls, if: item.x == 1}",
        "17:24: step 'a': 'item' has a meaning only in a step with 'foreach'",
    ),
    "list of a matrix": (
        "      a: {run: ls, matrix: {x: [1, 2]}, outputs: {m: m}}\n      b: {run: 'ls {x}', with: {x: '${{ steps.a.outputs.m }}'}}",
        "18:36: step 'b': step 'a' has a matrix, so steps.a.outputs.m is a list. Pick one instance with a 'select' step, or make one value of it: ${{ steps.a.outputs.m | join(',') }}",
    ),
    "select from no matrix": (
        PREPARE + "      b: {select: {from: prepare, metric: rmse, mode: min}}",
        "18:26: step 'b' selects from 'prepare', which has no matrix and no foreach to select from",
    ),
    "select from nothing": (
        PREPARE + "      b: {select: {from: prepar, metric: rmse, mode: min}}",
        "18:26: step 'b' selects from 'prepar', which is no step of 'main'. Did you mean 'prepare'?",
    ),
    "select from pipelines": (
        "      inner: {matrix: {d: [1, 2]}, with: {depth: '${{ matrix.d }}'}}\n      b: {select: {from: inner, metric: rmse, mode: min}}",
        "18:26: step 'b' selects from 'inner', whose instances are pipelines and have no metrics of their own",
    ),
    "incomplete select": (
        "      b: {select: {from: b, mode: best}}",
        "17:19: 'select' of step 'b' needs 'metric'\nMLproject:17:35: 'mode' of 'select' of step 'b' must be min or max",
    ),
    "keys beside select": (
        "      a: {run: ls, matrix: {x: [1]}}\n      b: {select: {from: a, metric: m, mode: min}, with: {a: 1}}",
        "18:52: 'with' of step 'b' has no meaning beside 'select'",
    ),
    "threshold that is no number": (
        "      a: {run: ls, matrix: {x: [1]}}\n      b: {select: {from: a, metric: m, mode: min, threshold: low}}",
        "18:62: 'threshold' of 'select' of step 'b' must be a number, not 'low'",
    ),
    "approval that is no word of ours": (
        "      b: {promote: {name: a, version: 1, to: Staging, approval: maybe}}",
        "17:65: 'approval' of 'promote' of step 'b' must be required, not 'maybe'",
    ),
    "promote to nowhere": (
        "      b: {promote: {name: a, version: 1}}",
        "17:20: 'promote' of step 'b' needs 'to' (a stage) or 'alias'",
    ),
    "unknown stage": (
        "      b: {promote: {name: a, version: 1, to: production}}",
        "17:46: 'production' is no stage (there are None, Staging, Production, Archived). Did you mean 'Production'?",
    ),
    "version without project": (
        "      a: {run: ls, version: 2}",
        "17:20: 'version' of step 'a' goes with 'project'",
    ),
    "project by expression": (
        "      a: {project: '${{ params.lr }}'}",
        "17:20: step 'a' calls a project that must be known before anything runs; it can't be an expression",
    ),
    "axis twice the same": (
        "      a: {run: ls, matrix: {x: [1, '1']}}",
        "17:36: axis 'x' of step 'a' has 1 twice",
    ),
    "axis that is no list": (
        "      a: {run: ls, matrix: {x: 5, y: []}}",
        "17:32: axis 'x' of step 'a' must be a list of one value or more\n"
        "MLproject:17:38: axis 'y' of step 'a' must be a list of one value or more",
    ),
    "axis of lists": (
        "      a: {run: ls, matrix: {x: [[1], 2]}}",
        "17:33: axis 'x' of step 'a' lists single values only",
    ),
    "axis from a result": (
        PREPARE + "      a: {run: ls, matrix: {x: ['${{ steps.prepare.run_id }}']}}",
        "18:32: step 'a': a matrix must be known before anything runs, so it can't use 'steps'",
    ),
    "matrix include": (
        "      a: {run: ls, matrix: {x: [1], include: {x: 2}, exclude: [1, {}]}}",
        "17:46: 'include' in the matrix of step 'a' must be a list of maps\n"
        "MLproject:17:64: 'exclude' in the matrix of step 'a' lists maps of names to single values\n"
        "MLproject:17:67: 'exclude' in the matrix of step 'a' lists maps of names to single values",
    ),
    "matrix exclude of no axis": (
        "      a: {run: ls, matrix: {lr: [1], include: [{x: [1]}, {lr: 2, n: 3}], exclude: [{rl: 1}]}, env: {N: '${{ matrix.m }}'}}",
        "17:52: 'include' in the matrix of step 'a' lists maps of names to single values\n"
        "MLproject:17:85: 'exclude' in the matrix of step 'a' has no axis 'rl'. It has: lr.\n"
        "MLproject:17:104: step 'a': matrix.m: the matrix of step 'a' has no 'm'. It has: lr, n.",
    ),
    "limits of instances": (
        "      a: {run: ls, matrix: {x: [1]}, max_parallel: 0}\n      b: {run: ls, max_parallel: 2, fail_fast: true}",
        "17:52: 'max_parallel' of step 'a' must be a whole number, 1 or more\n"
        "MLproject:18:20: 'max_parallel' of step 'b' goes with 'matrix' or 'foreach'\n"
        "MLproject:18:37: 'fail_fast' of step 'b' goes with 'matrix' or 'foreach'",
    ),
    "concurrency": (
        "      a: {run: ls, concurrency: a b}",
        "17:33: 'concurrency' of step 'a' must be a name of letters, digits and _ - . only",
    ),
    "huge matrix": (
        f"      a: {{run: ls, matrix: {{x: {list(range(101))}, y: {list(range(100))}}}}}",
        "17:20: the matrix of step 'a' has 10,100 instances; at most 10,000 can be",
    ),
    "retries of a call of a pipeline": (
        "      inner: {with: {depth: 1}, timeout: 1h}",
        "17:7: step 'inner' calls pipeline 'inner', which runs no command itself; set retries, backoff, retry_on or timeout on the steps of 'inner'",
    ),
    "resources of a pipeline": (
        "      inner: {with: {depth: 1}, resources: {cpus: 2}}",
        "17:7: step 'inner' calls pipeline 'inner', which runs no command itself; set resources on the steps of 'inner'",
    ),
    "foreach": (
        "      a: {run: ls, foreach: x, matrix: {x: [1]}}\n      b: {run: ls, foreach: [1, [2], {a: {}}, '${{ item }}']}",
        "17:20: step 'a' has both 'matrix' and 'foreach'; keep one of them\n"
        "MLproject:17:29: 'foreach' of step 'a' must be a list, or an expression that comes to one\n"
        "MLproject:18:33: 'foreach' of step 'b' lists single values, or maps of them\n"
        "MLproject:18:42: 'foreach' of step 'b' lists single values, or maps of them\n"
        "MLproject:18:47: 'foreach' of step 'b' is one expression, or a list without expressions",
    ),
    "foreach over what it can't": (
        PREPARE + "      a: {run: 'ls {x}', foreach: '${{ item }}', with: {x: '${{ item.a.b }}'}}\n"
        "      b: {run: 'ls {x}', foreach: '${{ steps.prepare.outputs }}', with: {x: '${{ steps.a.run_id }}'}}",
        "18:35: step 'a': a foreach can't use 'item': it comes to the items of its step\n"
        "MLproject:18:60: step 'a': write item.NAME, or item alone\n"
        "MLproject:19:35: step 'b': steps.prepare.outputs is a map; name one of its values\n"
        "MLproject:19:77: step 'b': step 'a' has a foreach, so steps.a.run_id is a list. Pick one instance with a 'select' step, or make one value of it: ${{ steps.a.run_id | join(',') }}",
    ),
    "evaluate": (
        "      a: {evaluate: {model: x}, outputs: {y: z}}\n"
        "      b: {evaluate: 3}\n"
        "      c: {evaluate: {data: d, predictions: p, type: clasifier, targt: t}}",
        "17:21: 'evaluate' of step 'a' needs 'data' and 'type' (classifier, regressor, ranking, retriever, text, question-answering or text-summarization), or 'metrics' of its own\n"
        "MLproject:17:33: 'outputs' of step 'a' has no meaning beside 'evaluate'\n"
        "MLproject:18:21: 'evaluate' of step 'b' must be a map of keys\n"
        "MLproject:19:21: 'evaluate' of step 'c' needs 'target' (the column of what is true)\n"
        "MLproject:19:53: 'type' of 'evaluate' of step 'c' must be classifier, regressor, ranking, retriever, text, question-answering or text-summarization, not 'clasifier'. Did you mean 'classifier'?\n"
        "MLproject:19:64: 'evaluate' of step 'c' has no key 'targt'. Did you mean 'target'?",
    ),
    "evaluate thresholds": (
        EVALUATE
        + """
            rmse: {max: x, min: 3, better_than_champion_by: 0.1}
            "a b": {max: 1}
            mae: 3
            r2: {min: 0.9, max: 0.5, at_least: 1}
            f1: {higher_is_better: 3}""",
        "24:25: 'max' of threshold 'rmse' of 'evaluate' of step 'a' must be a number\n"
        "MLproject:24:36: threshold 'rmse' of 'evaluate' of step 'a': 'better_than_champion_by' goes with a 'baseline'\n"
        "MLproject:25:13: threshold 'a b' of 'evaluate' of step 'a' can't name a metric: letters, digits and _ - . : / only\n"
        "MLproject:26:18: threshold 'mae' of 'evaluate' of step 'a' must be a map of min, max, better_than_champion_by or higher_is_better\n"
        "MLproject:27:28: threshold 'r2' of 'evaluate' of step 'a': 'max' is less than 'min'\n"
        "MLproject:27:38: threshold 'r2' of 'evaluate' of step 'a' has no key 'at_least'. Known are: min, max, better_than_champion_by, higher_is_better.\n"
        "MLproject:28:17: threshold 'f1' of 'evaluate' of step 'a' sets no limit: give min, max or better_than_champion_by\n"
        "MLproject:28:36: 'higher_is_better' of threshold 'f1' of 'evaluate' of step 'a' must be true or false",
    ),
    "evaluate parts": (
        EVALUATE.replace("thresholds:", "k: 0")
        + """
          average: mean
          metrics: [accuracy, 'own.py:']
          slices: [colour, {bins: 3}, {by: x, bins: [2, 1]}, {by: x, cuts: 3}]
          baseline: models:/x@champion
          thresholds: {rmse: {better_than_champion_by: much}}""",
        "23:14: 'k' of 'evaluate' of step 'a' must be a whole number, 1 or more\n"
        "MLproject:24:20: 'average' of 'evaluate' of step 'a' must be weighted, macro or micro, not 'mean'.\n"
        "MLproject:25:31: 'own.py:' in 'metrics' of 'evaluate' of step 'a' must be module:function or file.py:function\n"
        "MLproject:26:28: 'slices' of 'evaluate' of step 'a' lists columns, or maps of 'by' (a column) and 'bins'\n"
        "MLproject:26:53: 'bins' in 'slices' of 'evaluate' of step 'a' must be a number of ranges, 2 or more, or a list of rising numbers between them\n"
        "MLproject:26:70: 'slices' of 'evaluate' of step 'a' lists columns, or maps of 'by' (a column) and 'bins'; there is no 'cuts'\n"
        "MLproject:28:56: 'better_than_champion_by' of threshold 'rmse' of 'evaluate' of step 'a' must be a number, 0 or more, or a share such as 1%, not 'much'",
    ),
    "what an evaluate has": (
        EVALUATE.replace("thresholds:", "k: 1")
        + "\n      b: {run: 'ls {x}', with: {x: '${{ steps.a.outputs.pased }}'}}"
        "\n      c: {run: 'ls {x}', with: {x: '${{ steps.a.params.dta }}'}}",
        "24:36: step 'b': steps.a.outputs.pased: step 'a' has no output 'pased'. Did you mean 'passed'?\n"
        "MLproject:25:36: step 'c': steps.a.params.dta: step 'a' has no param 'dta'. Did you mean 'data'?",
    ),
    "step name": (
        "      a/b: {run: ls}",
        "17:7: 'a/b' can't name a step: letters, digits and _ - . only",
    ),
    "placeholder without value": (
        "      a: {run: 'ls {path}', with: {pat: 1}}",
        "17:16: 'run' of step 'a' uses {path}, which its 'with' does not set. Did you mean 'pat'?",
    ),
}


@pytest.mark.parametrize(("steps", "message"), STEPS.values(), ids=STEPS.keys())
def test_a_mistake_in_a_step_is_told_in_place(steps: str, message: str) -> None:
    assert mistakes_of(PRELUDE + steps) == f"MLproject:{message}"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    said = mistakes_of(
        """
        entry_points:
          main:
            parameters: {a: {type: int, default: x}}
            steps:
              late: {run: ls, needs: [nothing]}
              early: {run: 'ls {y}', evaluate: 3}
        conda_env: /abs.yaml
        """
    )
    assert [line.split(": ")[0] for line in said.splitlines()] == [
        "MLproject:3:42",
        "MLproject:5:31",
        "MLproject:6:20",
        "MLproject:6:30",
        "MLproject:7:12",
    ]


def test_entry_points_that_call_each_other_without_end_are_refused() -> None:
    said = mistakes_of(
        """
        entry_points:
          main: {steps: {one: {entry_point: second}}}
          second: {steps: {two: {entry_point: third}}}
          third: {steps: {three: {entry_point: main}}}
        """
    )
    assert said == (
        "MLproject:4:19: entry points call each other without end: main -> second -> third -> main"
    )


def test_a_pipeline_can_not_call_itself() -> None:
    said = mistakes_of("entry_points: {main: {steps: {main: }}}")
    assert said == "MLproject:1:31: entry points call each other without end: main -> main"


def test_what_refers_to_a_wrong_step_is_not_reported_as_well() -> None:
    said = mistakes_of(
        PRELUDE
        + "      a: {rnu: ls}\n      b: {run: 'ls {x}', with: {x: '${{ steps.a.outputs.y }}'}}"
    )
    assert said == "MLproject:17:11: step 'a' has no key 'rnu'. Did you mean 'run'?"


WARNINGS = {
    "unknown key of the project": (
        "entrypoints: {}",
        "MLproject:1:1: the project has no key 'entrypoints': it is ignored, as in MLflow. Did you mean 'entry_points'?",
    ),
    "unknown key of an entry point": (
        "entry_points:\n  main: {command: ls, descriptn: x}",
        "MLproject:2:23: entry point 'main' has no key 'descriptn': it is ignored, as in MLflow. Known are: steps, parameters, command, outputs, metrics, python_env, conda_env, docker_env, resources, env, secrets, cache, sources, timeout, retries, backoff, retry_on, executor.",
    ),
    "unknown type": (
        "entry_points:\n  main: {parameters: {a: integer}, command: 'ls {a}'}",
        "MLproject:2:26: parameter 'a' of entry point 'main' has the unknown type 'integer', taken as string. Did you mean 'int'?",
    ),
    "placeholder in quotes": (
        "entry_points:\n  main: {parameters: {a: string}, command: 'ls \"{a}\"'}",
        "MLproject:2:44: 'command' of entry point 'main' has {a} inside quotes or the like; values are quoted already, as in MLflow: let it stand by itself",
    ),
}


@pytest.mark.parametrize(("text", "message"), WARNINGS.values(), ids=WARNINGS.keys())
def test_what_mlflow_passes_over_is_a_warning_and_a_mistake_when_strict(
    text: str, message: str
) -> None:
    assert read(text).warnings == (message,)
    assert mistakes_of(text, strict=True) == message
