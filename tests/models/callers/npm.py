"""npm openai and @anthropic-ai/sdk. They are told in the words of the API, as the SDKs of PyPI are, so that their
conversations differ in who sends, reads and says again what was answered: npm.mjs."""

import json
import pathlib
import subprocess
import threading
from functools import cached_property

from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from callers import Refused, chat, messages, responses, strict

# With what the SDKs themselves add to an answer.
EXTENSIONS = (
    *chat.EXTENSIONS,
    *responses.EXTENSIONS,
    *("parsed", "parsed_arguments", "parsed_output", "output_parsed", "output_text"),
)


class Node:
    """One for all conversations, which take turns."""

    turn = threading.Lock()

    @cached_property
    def process(self):
        command = ["node", pathlib.Path(__file__).with_suffix(".mjs")]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)

    def ask(self, said):
        with self.turn:
            self.process.stdin.write(json.dumps(said) + "\n")
            return json.loads(self.process.stdout.readline())


NODE = Node()


class Npm:
    SAID = "messages"

    def connect(self, url, key):
        self.to = {"url": url, "key": key}

    def answer(self):
        said = getattr(self, self.SAID)
        asked = {self.SAID: said, **self.fields}
        got = NODE.ask({"dialect": self.DIALECT, "stream": self.stream, "to": self.to, "asked": asked})
        if "refused" in got:
            raise Refused(*got["refused"])
        assert "answer" in got, got["failed"]
        said += got["said"]
        answer = self.ANSWER.model_validate(got["answer"])
        strict(answer, EXTENSIONS)
        return answer


class Chat(Npm, chat.Conversation):
    DIALECT, ANSWER = "openai-chat", ChatCompletion


class Responses(Npm, responses.Conversation):
    DIALECT, ANSWER, SAID = "openai-responses", Response, "input"


class Messages(Npm, messages.Conversation):
    DIALECT, ANSWER = "anthropic", Message

    def untyped(self, **fields):
        return fields
