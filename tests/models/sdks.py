"""Runs sdks.mjs, the SDKs of npm, against the same providers and scenes as matrix.py: fewer scenes, for what differs
between the two lines of SDKs is how they read and write, not what they can say."""

import json
import subprocess
import sys

import gateway
import matrix
from scenes import SCENES, Result
from server import DIALECTS, Server

CHOSEN = ("text", "parallel tools", "structured", "reasoning")
SOURCES = ("openai-chat", "openai-responses", "anthropic")


def plain(scene):
    return {
        **{name: getattr(scene, name) for name in ("system", "tools", "choice", "schema", "reasons", "limit", "temperature")},
        "asks": [
            {
                "text": "".join(part[1] for part in ask.parts if not isinstance(part, Result)),
                "results": [{"call": part.call, "text": part.text} for part in ask.parts if isinstance(part, Result)],
                "answer": {
                    "text": ask.answer.text,
                    "calls": [[call.name, call.arguments] for call in ask.answer.calls],
                    "usage": [ask.answer.usage[0], ask.answer.usage[2]],
                },
            }
            for ask in scene.asks
        ],
    }


def main():
    causeway, server = gateway.from_environment(), Server()
    matrix.set_up(causeway, server)
    cells = [
        {"source": source, "target": target, "model": matrix.model_name(target, SCENES[name]), "scene": name, "stream": stream}
        for name in CHOSEN
        for source in SOURCES
        for target in DIALECTS
        for stream in (False, True)
    ]
    asked = {"url": causeway.url, "key": causeway.key, "scenes": {name: plain(SCENES[name]) for name in CHOSEN}, "cells": cells}
    return subprocess.run(["node", "sdks.mjs"], input=json.dumps(asked), text=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
