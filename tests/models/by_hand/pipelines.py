"""Pipelines of transformers both ways, where transformers and PyTorch are: too heavy for CI.

    uv venv hand && uv pip install --python hand/bin/python torch transformers mlflow pandas
    PYTHONPATH=. hand/bin/python -m tests.models.by_hand.pipelines

The models are tiny and made on the spot with random weights: nothing is downloaded.
"""

from __future__ import annotations

import importlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flowrun
from flowrun.errors import FlowrunError

torch = importlib.import_module("torch")
hf = importlib.import_module("transformers")
mlflow = importlib.import_module("mlflow")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "f", "g", "h"]
TEXTS = ["a b c", "d e [MASK] f"]


def tokenizer() -> Any:  # noqa: ANN401 - of transformers
    """Give one of whole words."""
    tokenizers = importlib.import_module("tokenizers")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")
    }
    return hf.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def pipelines() -> Iterator[Any]:
    """Give a pipeline for each kind of answer."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    bert = hf.BertConfig(vocab_size=len(WORDS), num_hidden_layers=1, **sizes)
    for task, kind in (
        ("text-classification", "BertForSequenceClassification"),
        ("token-classification", "BertForTokenClassification"),
        ("fill-mask", "BertForMaskedLM"),
        ("feature-extraction", "BertModel"),
    ):
        yield hf.pipeline(task, model=getattr(hf, kind)(bert).eval(), tokenizer=tokenizer())
    gpt = hf.GPT2Config(vocab_size=len(WORDS), n_positions=32, n_embd=16, n_layer=1, n_head=2)
    gpt.bos_token_id = gpt.eos_token_id = gpt.pad_token_id = 0
    model = hf.GPT2LMHeadModel(gpt).eval()
    model.generation_config.max_new_tokens = 3
    model.generation_config.do_sample = False
    yield hf.pipeline("text-generation", model=model, tokenizer=tokenizer())


def plain(made: Any) -> object:  # noqa: ANN401 - a prediction
    """Give a prediction that can be compared, to six digits."""
    made = made.to_dict("list") if hasattr(made, "to_dict") else made
    made = made.tolist() if hasattr(made, "tolist") else made
    if isinstance(made, dict):
        return {key: plain(value) for key, value in made.items()}
    if isinstance(made, list):
        return [plain(value) for value in made]
    return round(made, 6) if isinstance(made, float) else made


def both_ways(pipeline: Any, folder: Path) -> None:  # noqa: ANN401 - of transformers
    """Save with either tool and predict with either: four times the same."""
    texts = TEXTS[1:] * 2 if pipeline.task == "fill-mask" else TEXTS
    flowrun.transformers.save_model(pipeline, folder / "flowrun")
    mlflow.transformers.save_model(pipeline, folder / "mlflow", pip_requirements=[])
    made = {}
    for saved in ("flowrun", "mlflow"):
        for tool in (flowrun, mlflow):
            loaded = tool.transformers.load_model(str(folder / saved))
            assert type(loaded.model) is type(pipeline.model), saved
            predicting = tool.pyfunc.load_model(str(folder / saved))
            answers = [plain(predicting.predict(each)) for each in (texts, texts[0])]
            made[f"{saved} by {tool.__name__}"] = answers
    first, *others = made.values()
    assert all(each == first for each in others), made
    print(f"{pipeline.task}: {str(first)[:100]}")  # noqa: T201


def refusals(pipeline: Any, folder: Path) -> None:  # noqa: ANN401 - of transformers
    """Weights that are pickles are refused where pickles are; and what does not belong there."""
    place = folder / "flowrun"
    os.environ["FLOWRUN_ALLOW_PICKLE"] = "false"  # noqa: TID251 - as a user
    flowrun.transformers.load_model(str(place))
    torch.save(pipeline.model.state_dict(), place / "model" / "pytorch_model.bin")
    (place / "model" / "model.safetensors").unlink()
    said = (place / "MLmodel").read_text()
    for old, new in (
        ("", ""),
        ("pipeline_model_type: GPT2LMHeadModel", "pipeline_model_type: Trainer"),
        ("pipeline_model_type: GPT2LMHeadModel", "pipeline_model_type: MyOwn"),
        ("model_binary: model", "model_binary: ../.."),
        ("model_binary: model", "model_binary: null"),
    ):
        (place / "MLmodel").write_text(said.replace(old, new) if old else said)
        try:
            flowrun.pyfunc.load_model(str(place))
        except FlowrunError as error:
            print("refused:", str(error)[:160].replace("\n", " | "))  # noqa: T201
        else:
            raise AssertionError(f"loaded with {new}")
    del os.environ["FLOWRUN_ALLOW_PICKLE"]  # noqa: TID251


def main() -> None:
    """Do all of it."""
    folder = Path(tempfile.mkdtemp())
    try:
        for pipeline in pipelines():
            both_ways(pipeline, folder / pipeline.task)
        refusals(pipeline, folder / pipeline.task)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
