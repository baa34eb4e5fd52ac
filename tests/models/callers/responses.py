"""PyPI openai, Responses."""

import json

import openai

from callers import CannotSay, Got, Refused, strict
from scenes import Result

# The API says it, the SDK has no type of it.
EXTENSIONS = ("store",)


class Conversation:
    def __init__(self, url, key, model, scene, stream):
        if scene.stop:
            raise CannotSay("Responses has no stop sequences")
        self.connect(url, key)
        self.stream = stream
        self.input, self.calls = [], []
        self.fields = {"model": model, "max_output_tokens": scene.limit, "store": False}
        if scene.system:
            self.fields["instructions"] = scene.system
        if scene.tools:
            self.fields["tools"] = [{"type": "function", "strict": False, **tool} for tool in scene.tools]
        if scene.choice:
            named = {"type": "function", "name": scene.choice}
            self.fields["tool_choice"] = scene.choice if scene.choice in ("auto", "required") else named
        if scene.schema:
            self.fields["text"] = {"format": {"type": "json_schema", "name": "place", "strict": True, "schema": scene.schema}}
        if scene.reasons:
            self.fields |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
        if scene.temperature is not None:
            self.fields["temperature"] = scene.temperature

    def connect(self, url, key):
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def ask(self, parts):
        if isinstance(parts[0], Result):
            for result in parts:
                call = self.calls[result.call]
                self.input.append({"type": "function_call_output", "call_id": call.call_id, "output": result.text})
        else:
            self.input.append({"role": "user", "content": [written(part) for part in parts]})
        answer = self.answer()
        got = Got(model=answer.model)
        self.calls = []
        for item in answer.output:
            match item.type:
                case "reasoning":
                    got.thought += "".join(part.text for part in item.summary)
                case "message":
                    for part in item.content:
                        if part.type == "refusal":
                            got.refusal += part.refusal
                        else:
                            got.text += part.text
                case "function_call":
                    self.calls.append(item)
                    got.calls.append((item.name, json.loads(item.arguments)))
        got.stop = stop_of(answer, got)
        usage = answer.usage
        got.usage = (
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            usage.output_tokens_details.reasoning_tokens,
        )
        return got

    def answer(self):
        try:
            answer = self.streamed() if self.stream else self.client.responses.create(input=self.input, **self.fields)
        except openai.APIStatusError as error:
            raise Refused(error.status_code, error.body["message"]) from None
        strict(answer, EXTENSIONS)
        self.input += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
        return answer

    def streamed(self):
        """What the events build up has to be what the last one says."""
        said, last = {}, None
        with self.client.responses.create(input=self.input, stream=True, **self.fields) as stream:
            for event in stream:
                strict(event, EXTENSIONS)
                last = event
                if event.type in ("response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta"):
                    said[event.output_index] = said.get(event.output_index, "") + event.delta
        assert last.type in ("response.completed", "response.incomplete"), last.type
        for place, item in enumerate(last.response.output):
            if item.type == "function_call":
                assert said.get(place, "") == item.arguments, (said, item.arguments)
            elif item.type == "message":
                text = "".join(getattr(part, "text", "") or getattr(part, "refusal", "") for part in item.content)
                assert said.get(place, "") == text, (said, text)
        return last.response


def stop_of(answer, got):
    if answer.status == "incomplete":
        return {"max_output_tokens": "length", "content_filter": "refusal"}[answer.incomplete_details.reason]
    if got.refusal:
        return "refusal"
    return "tools" if got.calls else "end"


def written(part):
    match part:
        case ("text", text):
            return {"type": "input_text", "text": text}
        case ("image", url):
            return {"type": "input_image", "detail": "auto", "image_url": url}
        case ("image", media, data):
            return {"type": "input_image", "detail": "auto", "image_url": f"data:{media};base64,{data}"}
        case ("document", media, data):
            return {"type": "input_file", "filename": "a.pdf", "file_data": f"data:{media};base64,{data}"}
