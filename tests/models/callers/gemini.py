"""PyPI google-genai."""

import base64

from google import genai
from google.genai import errors, types

from callers import Got, Refused
from scenes import Result

STOPS = {"STOP": "end", "MAX_TOKENS": "length", "SAFETY": "refusal", "PROHIBITED_CONTENT": "refusal", "OTHER": "other"}


class Conversation:
    def __init__(self, url, key, model, scene, stream):
        self.client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
        self.stream, self.model = stream, model
        self.contents, self.calls = [], []
        config = {"max_output_tokens": scene.limit, "automatic_function_calling": {"disable": True}}
        if scene.system:
            config["system_instruction"] = scene.system
        if scene.tools:
            config["tools"] = [{"function_declarations": [declared(tool) for tool in scene.tools]}]
        if scene.choice:
            named = {"mode": "ANY", "allowed_function_names": [scene.choice]}
            calling = {"required": {"mode": "ANY"}, "auto": {"mode": "AUTO"}}.get(scene.choice, named)
            config["tool_config"] = {"function_calling_config": calling}
        if scene.schema:
            config |= {"response_mime_type": "application/json", "response_json_schema": scene.schema}
        if scene.reasons:
            config["thinking_config"] = {"thinking_budget": 2000, "include_thoughts": True}
        if scene.temperature is not None:
            config["temperature"] = scene.temperature
        if scene.stop:
            config["stop_sequences"] = scene.stop
        self.config = types.GenerateContentConfig(**config)

    def ask(self, parts):
        if isinstance(parts[0], Result):
            said = [
                types.Part(function_response=types.FunctionResponse(
                    id=self.calls[result.call].id,
                    name=self.calls[result.call].name,
                    response={"error" if result.failed else "output": result.said(flagged=True)},
                ))
                for result in parts
            ]
        else:
            said = [written(part) for part in parts]
        self.contents.append(types.Content(role="user", parts=said))
        try:
            answers = self.answers()
        except errors.APIError as error:
            raise Refused(error.code, error.message) from None
        # What is said, piece by piece, as the SDK's own chat keeps it.
        parts = [part for answer in answers for one in answer.candidates or [] if one.content for part in one.content.parts or []]
        self.contents.append(types.Content(role="model", parts=parts))
        self.calls = [part.function_call for part in parts if part.function_call]
        last = answers[-1]
        if last.candidates and last.candidates[0].finish_reason:
            stop = STOPS[last.candidates[0].finish_reason.value]
        else:
            stop = "refusal" if last.prompt_feedback else ""
        usage = last.usage_metadata
        thoughts = usage.thoughts_token_count or 0
        return Got(
            thought="".join(part.text for part in parts if part.thought and part.text),
            text="".join(part.text for part in parts if part.text and not part.thought),
            calls=[(call.name, call.args or {}) for call in self.calls],
            stop="tools" if self.calls and stop == "end" else stop,
            usage=(
                usage.prompt_token_count,
                usage.cached_content_token_count or 0,
                (usage.candidates_token_count or 0) + thoughts,
                thoughts,
            ),
            model=last.model_version,
        )

    def answers(self):
        models, asked = self.client.models, {"model": self.model, "contents": self.contents, "config": self.config}
        if self.stream:
            return list(models.generate_content_stream(**asked))
        return [models.generate_content(**asked)]


def declared(tool):
    """A schema without properties is none."""
    schema = tool["parameters"] if tool["parameters"]["properties"] else None
    return {"name": tool["name"], "description": tool["description"], "parameters_json_schema": schema}


def written(part):
    match part:
        case ("text", text):
            return types.Part(text=text)
        case ("image", url):
            return types.Part(file_data=types.FileData(file_uri=url, mime_type="image/png"))
        case (_, media, data):
            return types.Part(inline_data=types.Blob(mime_type=media, data=base64.b64decode(data)))
