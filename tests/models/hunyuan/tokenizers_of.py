"""Tiny tokenizers like those of HunyuanVideo's text encoders, trained on what the tests say."""

from __future__ import annotations

from pathlib import Path

import tokenizers
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from mlxvid.models.hunyuan.prompts import FROM_PICTURE, PICTURE, VIDEO

PROMPTS = [
    "A cat walks on the grass, realistic style.",
    "two red balls, {} and 12345 blue ones; it's the dog's",
    "",
]
# As Llama 3 splits a text before its pieces are looked up.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
    *("<|eot_id|>", "<image>", "<pad>"),
]


def write_llama_tokenizer(folder: Path, begins: bool = True) -> None:
    """Llama 3's way of reading, with every word of the templates and prompts as one piece.

    begins: whether the file says that the begin token comes first.
    """
    model = tokenizers.Tokenizer(models.BPE())
    words = pre_tokenizers.Split(tokenizers.Regex(WORDS), "isolated")
    in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model.pre_tokenizer = pre_tokenizers.Sequence([words, in_bytes])
    model.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4000,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [template.text for template in (VIDEO, PICTURE, FROM_PICTURE)]
    model.train_from_iterator([*texts, *PROMPTS, "system", "user", "assistant"], trainer)
    if begins:
        begin = (SPECIAL[0], 0)
        model.post_processor = processors.TemplateProcessing(
            single=f"{SPECIAL[0]} $A", special_tokens=[begin]
        )
    folder.mkdir(parents=True, exist_ok=True)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=model,
        bos_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        pad_token="<pad>",
        padding_side="right",
    ).save_pretrained(folder)


def write_clip_tokenizer(folder: Path) -> None:
    """CLIP's way of reading, with single bytes for pieces."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*letters, *(f"{letter}</w>" for letter in letters)]
    pieces += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
