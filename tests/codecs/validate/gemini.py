"""Holds files that the codec wrote against the models of google-genai, with no field beside theirs.

python gemini.py FOLDER: `*.answer.json` is an answer, `*.stream.json` a list of them, `*.request.json` a request.
"""

import json
import pathlib
import sys

from google.genai import types

FIELDS = {"systemInstruction": types.Content, "toolConfig": types.ToolConfig, "generationConfig": types.GenerationConfig}
LISTS = {"contents": types.Content, "tools": types.Tool, "safetySettings": types.SafetySetting}


def request(body):
    for name, value in body.items():
        if name in FIELDS:
            FIELDS[name].model_validate(value)
        for one in value if name in LISTS else []:
            LISTS[name].model_validate(one)


def main(folder):
    count = 0
    for path in sorted(pathlib.Path(folder).iterdir()):
        body = json.loads(path.read_text())
        if path.name.endswith(".request.json"):
            request(body)
        else:
            for one in body if isinstance(body, list) else [body]:
                if "error" not in one:
                    types.GenerateContentResponse.model_validate(one)
        count += 1
    print(f"{count} files are as google-genai wants them")


main(sys.argv[1])
