"""What is asked of a model and what it answers, in no dialect's words. Callers ask it with an SDK, providers check
that it arrived and answer it; a scene is found again by the marker in its first prompt."""

import base64
from dataclasses import dataclass, field

PNG = base64.b64encode(bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)).decode()
PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n").decode()
PICTURE = "https://pictures.example.com/cat.png?size=large&v=2"
# What a provider signs is base64 of whatever bytes; these have both letters that base64 of URLs lacks.
SIGNATURE = base64.b64encode(bytes(range(200, 256)) + b"signed \xfb\xff\xfe thought").decode()
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city, in the next days.",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "Its name"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
}
PING = {"name": "ping", "description": "Says whether anybody is there.", "parameters": {"type": "object", "properties": {}}}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "number"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}


FLAGGED = " (flagged)"


@dataclass
class Call:
    """A tool that the model calls."""

    name: str
    arguments: dict
    # As the provider names the call; otherwise by its place.
    id: str = ""


@dataclass
class Result:
    """What became of the call at that place of the answer before."""

    call: int
    text: str
    failed: bool = False

    def said(self, flagged):
        """The text; a caller that has a field for failures says that it used it."""
        return self.text + FLAGGED * (self.failed and flagged)


@dataclass
class Answer:
    thought: str = ""
    text: str = ""
    calls: list = field(default_factory=list)
    # end, length, tools, sequence or refusal
    stop: str = "end"
    refusal: str = ""
    # All tokens of the prompt, those of them that were cached, all of the answer, those of them that are thoughts.
    usage: tuple = (100, 40, 30, 0)


@dataclass
class Ask:
    """One request: what the user says now; the turns before it are said again."""

    parts: list
    answer: Answer


@dataclass
class Scene:
    name: str
    asks: list
    system: str = ""
    tools: list = field(default_factory=list)
    # auto, required, or the name of a tool
    choice: str = ""
    schema: dict | None = None
    reasons: bool = False
    limit: int = 4000
    temperature: float | None = None
    stop: list = field(default_factory=list)

    @property
    def marker(self):
        return f"[scene {self.name}]"


def texts(scene):
    return ("text", f"[scene {scene}] Grüße aus Zürich \N{SNOWMAN} \"quoted\"\\ \n\ttab")


def image(url=None, data=None):
    return ("image", url) if url else ("image", "image/png", data)


SCENES = {
    scene.name: scene
    for scene in [
        Scene(
            "text",
            [
                Ask([texts("text")], Answer(text="Hello, wörld \N{SNOWMAN}! \"Yes\" \\ no.\nNext line", usage=(100, 40, 30, 0))),
                Ask([("text", "And again?")], Answer(text="Again.", usage=(12, 0, 3, 0))),
            ],
            system="You are terse.",
            limit=300,
            temperature=0.25,
        ),
        Scene(
            "tools",
            [
                Ask([texts("tools")], Answer(text="I will look.", calls=[Call("get_weather", {"city": "Zürich", "days": 3})], stop="tools")),
                Ask([Result(0, "12 °C, \"rain\"")], Answer(text="It is 12 °C.")),
            ],
            tools=[WEATHER, PING],
            choice="auto",
        ),
        Scene(
            "zero-argument tool",
            [
                Ask([texts("zero-argument tool")], Answer(calls=[Call("ping", {})], stop="tools")),
                Ask([Result(0, "pong")], Answer(text="Somebody is there.")),
            ],
            tools=[PING],
        ),
        Scene(
            "parallel tools",
            [
                Ask(
                    [texts("parallel tools")],
                    Answer(
                        calls=[
                            Call("get_weather", {"city": "Zürich", "days": 3}),
                            Call("get_weather", {"city": "Oslo", "unit": "celsius"}),
                            Call("ping", {}),
                        ],
                        stop="tools",
                    ),
                ),
                Ask([Result(0, "12"), Result(1, "4"), Result(2, "pong")], Answer(text="Zürich is warmer.")),
            ],
            tools=[WEATHER, PING],
            choice="required",
        ),
        Scene(
            "named tool",
            [
                Ask([texts("named tool")], Answer(calls=[Call("ping", {})], stop="tools")),
                Ask([Result(0, "pong")], Answer(text="Somebody is there.")),
            ],
            tools=[WEATHER, PING],
            choice="ping",
        ),
        Scene(
            "failing tool",
            [
                Ask([texts("failing tool")], Answer(calls=[Call("ping", {})], stop="tools")),
                Ask([Result(0, "no route to anybody", failed=True)], Answer(text="Nobody can be reached.")),
            ],
            tools=[PING],
        ),
        Scene("vision, URL", [Ask([texts("vision, URL"), image(url=PICTURE)], Answer(text="A cat."))]),
        Scene("vision, base64", [Ask([texts("vision, base64"), image(data=PNG)], Answer(text="A dot."))]),
        Scene("document", [Ask([texts("document"), ("document", "application/pdf", PDF)], Answer(text="It is empty."))]),
        Scene(
            "structured",
            [Ask([texts("structured")], Answer(text='{"city": "Zürich", "degrees": 12.5}'))],
            schema=SCHEMA,
        ),
        Scene(
            "reasoning",
            [
                Ask(
                    [texts("reasoning")],
                    Answer(
                        thought="The user greets from Zürich. I should look at the weather there.",
                        calls=[Call("get_weather", {"city": "Zürich"})],
                        stop="tools",
                        usage=(100, 40, 30, 12),
                    ),
                ),
                Ask([Result(0, "12 °C")], Answer(text="It is 12 °C.")),
            ],
            tools=[WEATHER],
            reasons=True,
        ),
        Scene("length", [Ask([texts("length")], Answer(text="One two", stop="length"))], limit=20),
        Scene("stop sequence", [Ask([texts("stop sequence")], Answer(text="One ", stop="sequence"))], stop=["two"]),
        Scene("refusal", [Ask([texts("refusal")], Answer(refusal="I will not say that.", stop="refusal"))]),
    ]
}


def found(prompt):
    """The scene whose marker stands in a prompt."""
    return next((scene for scene in SCENES.values() if scene.marker in prompt), None)


def pieces(text, size=7):
    """A text as a model says it."""
    return [text[at : at + size] for at in range(0, len(text), size)] or [""]
