"""PyPI anthropic."""

import anthropic

from callers import Got, Refused, strict
from scenes import Result

STOPS = {
    "end_turn": "end",
    "max_tokens": "length",
    "tool_use": "tools",
    "stop_sequence": "sequence",
    "refusal": "refusal",
}


class Conversation:
    def __init__(self, url, key, model, scene, stream):
        self.connect(url, key)
        self.stream = stream
        self.messages, self.calls = [], []
        self.fields = {"model": model, "max_tokens": scene.limit}
        if scene.system:
            self.fields["system"] = scene.system
        if scene.tools:
            self.fields["tools"] = [
                {"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]} for tool in scene.tools
            ]
        if scene.choice:
            named = {"type": "tool", "name": scene.choice}
            self.fields["tool_choice"] = {"auto": {"type": "auto"}, "required": {"type": "any"}}.get(scene.choice, named)
        if scene.schema:
            self.fields["output_config"] = {"format": {"type": "json_schema", "schema": scene.schema}}
        if scene.reasons:
            self.fields["thinking"] = {"type": "enabled", "budget_tokens": 2000}
        if scene.temperature is not None:
            self.fields |= self.untyped(temperature=scene.temperature)
        if scene.stop:
            self.fields["stop_sequences"] = scene.stop

    def connect(self, url, key):
        self.client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)

    def untyped(self, **fields):
        """Version 2 of the SDK has no arguments for them, the API does."""
        return {"extra_body": fields}

    def ask(self, parts):
        if isinstance(parts[0], Result):
            content = [
                {
                    "type": "tool_result",
                    "tool_use_id": self.calls[result.call].id,
                    "content": result.said(flagged=True),
                    **({"is_error": True} if result.failed else {}),
                }
                for result in parts
            ]
        else:
            content = [written(part) for part in parts]
        self.messages.append({"role": "user", "content": content})
        answer = self.answer()
        self.calls = [block for block in answer.content if block.type == "tool_use"]
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        return Got(
            thought="".join(block.thinking for block in answer.content if block.type == "thinking"),
            text="".join(block.text for block in answer.content if block.type == "text"),
            calls=[(call.name, call.input) for call in self.calls],
            stop=STOPS[answer.stop_reason],
            usage=(usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0), cached, usage.output_tokens, None),
            model=answer.model,
        )

    def answer(self):
        try:
            answer = self.streamed() if self.stream else self.client.messages.create(messages=self.messages, **self.fields)
        except anthropic.APIStatusError as error:
            raise Refused(error.status_code, error.body["error"]["message"]) from None
        strict(answer)
        self.messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
        return answer

    def streamed(self):
        with self.client.messages.stream(messages=self.messages, **self.fields) as stream:
            for event in stream:
                if event.type == "error":
                    raise AssertionError(event)
                strict(event)
            return stream.get_final_message()


def written(part):
    match part:
        case ("text", text):
            return {"type": "text", "text": text}
        case ("image", url):
            return {"type": "image", "source": {"type": "url", "url": url}}
        case (kind, media, data):
            return {"type": kind, "source": {"type": "base64", "media_type": media, "data": data}}
