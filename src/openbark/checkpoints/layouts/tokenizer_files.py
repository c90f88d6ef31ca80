"""The files beside `tokenizer.json` that let transformers' AutoProcessor and BertTokenizer load a folder.

Written for BERT's WordPiece, the tokenizer of Suno's models; other tokenizers are our own and go alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from openbark.checkpoints.checkpoint import TOKENIZER_FILE, VOCABULARY_FILE
from openbark.text.tokenizer import Tokenizer

TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
_SPECIAL_TOKENS_FILE = "special_tokens_map.json"
_SPECIAL = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


def read_tokenizer_json(path: Path) -> str:
    """The contents of a `tokenizer.json`, or of one that says what a `vocab.txt` says.

    Raises CheckpointNotFoundError or CheckpointCorruptError.
    """
    if path.suffix == ".json" and path.is_file():
        return path.read_text(encoding="utf-8")
    return Tokenizer.load(path).to_json()


def tokenizer_files(tokenizer_json: str) -> dict[str, str]:
    """File name -> contents for the contents of a `tokenizer.json`, itself included."""
    files = {TOKENIZER_FILE: tokenizer_json}
    try:
        model = json.loads(tokenizer_json).get("model") or {}
    except (json.JSONDecodeError, AttributeError):
        return files
    vocabulary = model.get("vocab")
    if model.get("type") != "WordPiece" or not isinstance(vocabulary, dict):
        return files
    special = {role: token for role, token in _SPECIAL.items() if token in vocabulary}
    config = {
        **special,
        "clean_up_tokenization_spaces": True,
        "do_lower_case": False,
        "model_max_length": 512,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "processor_class": "BarkProcessor",
        "tokenizer_class": "BertTokenizer",
    }
    entries = sorted(vocabulary, key=vocabulary.__getitem__)
    return files | {
        VOCABULARY_FILE: "".join(f"{entry}\n" for entry in entries),
        TOKENIZER_CONFIG_FILE: json.dumps(config, indent=2, ensure_ascii=False) + "\n",
        _SPECIAL_TOKENS_FILE: json.dumps(special, indent=2, ensure_ascii=False) + "\n",
    }
