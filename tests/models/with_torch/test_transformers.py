"""Pipelines of transformers, tiny and with random weights: both ways, and what is refused."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import flowrun
from flowrun.errors import FlowrunError

pytestmark = pytest.mark.filterwarnings("default")  # of the libraries

torch: Any = importlib.import_module("torch")
hf: Any = importlib.import_module("transformers")
mlflow: Any = importlib.import_module("mlflow")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "f", "g", "h"]
TEXTS = ["a b c", "d e [MASK] f"]
BERTS = {
    "text-classification": "BertForSequenceClassification",
    "token-classification": "BertForTokenClassification",
    "fill-mask": "BertForMaskedLM",
    "feature-extraction": "BertModel",
}


def tokenizer() -> Any:  # noqa: ANN401 - of transformers
    tokenizers = importlib.import_module("tokenizers")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    special = {
        f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")
    }
    return hf.PreTrainedTokenizerFast(tokenizer_object=made, **special)


def pipeline(task: str) -> Any:  # noqa: ANN401 - of transformers
    torch.manual_seed(0)
    if task in BERTS:
        sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
        bert = hf.BertConfig(vocab_size=len(WORDS), num_hidden_layers=1, **sizes)
        model = getattr(hf, BERTS[task])(bert).eval()
        return hf.pipeline(task, model=model, tokenizer=tokenizer())
    gpt = hf.GPT2Config(vocab_size=len(WORDS), n_positions=32, n_embd=16, n_layer=1, n_head=2)
    gpt.bos_token_id = gpt.eos_token_id = gpt.pad_token_id = 0
    model = hf.GPT2LMHeadModel(gpt).eval()
    model.generation_config.max_new_tokens = 3
    model.generation_config.do_sample = False
    return hf.pipeline(task, model=model, tokenizer=tokenizer())


def plain(made: Any) -> object:  # noqa: ANN401 - a prediction
    made = made.to_dict("list") if hasattr(made, "to_dict") else made
    made = made.tolist() if hasattr(made, "tolist") else made
    if isinstance(made, dict):
        return {key: plain(value) for key, value in made.items()}
    if isinstance(made, list):
        return [plain(value) for value in made]
    return round(made, 6) if isinstance(made, float) else made


@pytest.mark.parametrize("task", [*BERTS, "text-generation"])
def test_either_tool_does_the_same_with_what_the_other_saved(tmp_path: Path, task: str) -> None:
    made = pipeline(task)
    texts = TEXTS[1:] * 2 if task == "fill-mask" else TEXTS
    flowrun.transformers.save_model(made, tmp_path / "flowrun")
    mlflow.transformers.save_model(made, tmp_path / "mlflow", pip_requirements=[])
    answers = []
    for saved in ("flowrun", "mlflow"):
        for tool in (flowrun, mlflow):
            loaded = tool.transformers.load_model(str(tmp_path / saved))
            assert type(loaded.model) is type(made.model), saved
            predicting = tool.pyfunc.load_model(str(tmp_path / saved))
            answers.append([plain(predicting.predict(each)) for each in (texts, texts[0])])
    assert all(each == answers[0] for each in answers), answers


WRONG = {
    "weights that are a pickle": ("", ""),
    "a class that is no model": ("type: GPT2LMHeadModel", "type: Trainer"),
    "a class of nobody": ("type: GPT2LMHeadModel", "type: MyOwn"),
    "a place outside": ("model_binary: model", "model_binary: ../.."),
    "no place": ("model_binary: model", "model_binary: null"),
}


def test_what_could_be_code_is_refused_where_pickles_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, made = tmp_path / "model", pipeline("text-generation")
    flowrun.transformers.save_model(made, place)
    monkeypatch.setenv("FLOWRUN_ALLOW_PICKLE", "false")
    flowrun.transformers.load_model(str(place))
    torch.save(made.model.state_dict(), place / "model" / "pytorch_model.bin")
    (place / "model" / "model.safetensors").unlink()
    said = (place / "MLmodel").read_text()
    for name, (old, new) in WRONG.items():
        assert old in said, name
        (place / "MLmodel").write_text(said.replace(old, new) if old else said)
        with pytest.raises(FlowrunError):
            flowrun.pyfunc.load_model(str(place))
