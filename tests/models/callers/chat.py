"""PyPI openai, Chat Completions."""

import json

import openai
from openai.lib.streaming.chat import ChatCompletionStreamState

from callers import Got, Refused, strict
from scenes import Result

# Fields beyond OpenAI's that others have for thoughts: DeepSeek's; OpenRouter's and Gemini's with what proves them.
EXTENSIONS = ("reasoning_content", "reasoning_details", "extra_content")
STOPS = {"stop": "end", "length": "length", "tool_calls": "tools", "content_filter": "refusal"}


class Conversation:
    def __init__(self, url, key, model, scene, stream):
        self.connect(url, key)
        self.stream = stream
        self.messages = [{"role": "system", "content": scene.system}] if scene.system else []
        self.calls = []
        self.fields = {"model": model, "max_completion_tokens": scene.limit}
        if scene.tools:
            self.fields["tools"] = [{"type": "function", "function": tool} for tool in scene.tools]
        if scene.choice:
            named = {"type": "function", "function": {"name": scene.choice}}
            self.fields["tool_choice"] = scene.choice if scene.choice in ("auto", "required") else named
        if scene.schema:
            schema = {"name": "place", "strict": True, "schema": scene.schema}
            self.fields["response_format"] = {"type": "json_schema", "json_schema": schema}
        if scene.reasons:
            self.fields["reasoning_effort"] = "low"
        if scene.temperature is not None:
            self.fields["temperature"] = scene.temperature
        if scene.stop:
            self.fields["stop"] = scene.stop

    def connect(self, url, key):
        self.client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    def ask(self, parts):
        if isinstance(parts[0], Result):
            for result in parts:
                self.messages.append({"role": "tool", "tool_call_id": self.calls[result.call].id, "content": result.text})
        else:
            self.messages.append({"role": "user", "content": [written(part) for part in parts]})
        answer = self.answer()
        choice = answer.choices[0]
        message = choice.message
        self.calls = message.tool_calls or []
        usage = answer.usage
        stop = "refusal" if message.refusal else STOPS[choice.finish_reason]
        return Got(
            thought=getattr(message, "reasoning_content", "") or "",
            text=message.content or "",
            calls=[(call.function.name, self.arguments(call.function.arguments)) for call in self.calls],
            stop=stop,
            refusal=message.refusal or "",
            usage=(
                usage.prompt_tokens,
                usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0,
                usage.completion_tokens,
                usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else 0,
            ),
            model=answer.model,
        )

    # Some providers of this dialect say nothing for no arguments; across dialects that is an object.
    lenient = False

    def arguments(self, text):
        return {} if self.lenient and not text else json.loads(text)

    def answer(self):
        try:
            answer = self.streamed() if self.stream else self.whole()
        except openai.APIStatusError as error:
            raise Refused(error.status_code, error.body["message"]) from None
        self.messages.append(said(answer.choices[0].message))
        return answer

    def whole(self):
        answer = self.client.chat.completions.create(messages=self.messages, **self.fields)
        strict(answer, EXTENSIONS)
        return answer

    def streamed(self):
        asked = {"stream_options": {"include_usage": True}, **self.fields}
        state = ChatCompletionStreamState()
        with self.client.chat.completions.create(messages=self.messages, stream=True, **asked) as stream:
            for chunk in stream:
                strict(chunk, EXTENSIONS)
                try:
                    state.handle_chunk(chunk)
                except (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError):
                    # The state has it all the same.
                    pass
        return state.current_completion_snapshot


def said(message):
    """The message as the next request has it."""
    whole = message.model_dump(exclude_none=True, exclude={"parsed", "annotations"})
    for call in whole.get("tool_calls", []):
        call.pop("index", None)
        call["function"].pop("parsed_arguments", None)
    return whole


def written(part):
    match part:
        case ("text", text):
            return {"type": "text", "text": text}
        case ("image", url):
            return {"type": "image_url", "image_url": {"url": url}}
        case ("image", media, data):
            return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
        case ("document", media, data):
            return {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:{media};base64,{data}"}}
