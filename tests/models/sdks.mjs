// npm openai and @anthropic-ai/sdk with every dialect out: what is asked and what has to be answered comes in as JSON
// (sdks.py); providers check what they are sent.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const { url, key, scenes, cells } = JSON.parse(readFileSync(0, "utf8"));
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });

const schemaOf = (scene) => ({ name: "place", strict: true, schema: scene.schema });

class Chat {
  messages = [];

  constructor(model, scene, stream) {
    this.stream = stream;
    if (scene.system) this.messages.push({ role: "system", content: scene.system });
    this.fields = {
      model,
      max_completion_tokens: scene.limit,
      ...(scene.tools.length && { tools: scene.tools.map((tool) => ({ type: "function", function: tool })) }),
      ...(scene.choice && { tool_choice: scene.choice }),
      ...(scene.schema && { response_format: { type: "json_schema", json_schema: schemaOf(scene) } }),
      ...(scene.reasons && { reasoning_effort: "low" }),
      ...(scene.temperature !== null && { temperature: scene.temperature }),
    };
  }

  async ask(text, results) {
    if (text) this.messages.push({ role: "user", content: text });
    for (const { call, text } of results)
      this.messages.push({ role: "tool", tool_call_id: this.calls[call].id, content: text });
    const asked = { ...this.fields, messages: this.messages };
    const answer = this.stream ? await this.streamed(asked) : await openai.chat.completions.create(asked);
    const { message } = answer.choices[0];
    const { parsed, refusal, annotations, ...said } = message;
    this.messages.push({
      ...said,
      ...(said.tool_calls && {
        tool_calls: said.tool_calls.map(({ index, function: { parsed_arguments, ...called }, ...call }) => ({ ...call, function: called })),
      }),
    });
    this.calls = message.tool_calls ?? [];
    return {
      text: message.content ?? "",
      calls: this.calls.map((call) => [call.function.name, JSON.parse(call.function.arguments || "{}")]),
      usage: [answer.usage.prompt_tokens, answer.usage.completion_tokens],
    };
  }

  // Of fields it has no type for, the SDK keeps the last piece only.
  async streamed(asked) {
    let thought = "";
    const stream = openai.chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
    stream.on("chunk", ({ choices }) => (thought += choices[0]?.delta.reasoning_content ?? ""));
    const answer = await stream.finalChatCompletion();
    if (thought) answer.choices[0].message.reasoning_content = thought;
    return answer;
  }
}

class Responses {
  input = [];

  constructor(model, scene, stream) {
    this.stream = stream;
    this.fields = {
      model,
      max_output_tokens: scene.limit,
      store: false,
      ...(scene.system && { instructions: scene.system }),
      ...(scene.tools.length && { tools: scene.tools.map((tool) => ({ type: "function", strict: false, ...tool })) }),
      ...(scene.choice && { tool_choice: scene.choice }),
      ...(scene.schema && { text: { format: { type: "json_schema", ...schemaOf(scene) } } }),
      ...(scene.reasons && { reasoning: { effort: "low", summary: "auto" }, include: ["reasoning.encrypted_content"] }),
      ...(scene.temperature !== null && { temperature: scene.temperature }),
    };
  }

  async ask(text, results) {
    if (text) this.input.push({ role: "user", content: [{ type: "input_text", text }] });
    for (const { call, text } of results)
      this.input.push({ type: "function_call_output", call_id: this.calls[call].call_id, output: text });
    const asked = { ...this.fields, input: this.input };
    const answer = this.stream ? await openai.responses.stream(asked).finalResponse() : await openai.responses.create(asked);
    this.input.push(
      ...answer.output.map(({ parsed_arguments, ...item }) =>
        item.content ? { ...item, content: item.content.map(({ parsed, ...part }) => part) } : item,
      ),
    );
    this.calls = answer.output.filter((item) => item.type === "function_call");
    return {
      text: answer.output_text,
      calls: this.calls.map((call) => [call.name, JSON.parse(call.arguments)]),
      usage: [answer.usage.input_tokens, answer.usage.output_tokens],
    };
  }
}

class Messages {
  messages = [];

  constructor(model, scene, stream) {
    this.stream = stream;
    this.fields = {
      model,
      max_tokens: scene.limit,
      ...(scene.system && { system: scene.system }),
      ...(scene.tools.length && {
        tools: scene.tools.map(({ name, description, parameters }) => ({ name, description, input_schema: parameters })),
      }),
      ...(scene.choice && { tool_choice: { type: scene.choice === "required" ? "any" : scene.choice } }),
      ...(scene.schema && { output_config: { format: { type: "json_schema", schema: scene.schema } } }),
      ...(scene.reasons && { thinking: { type: "enabled", budget_tokens: 2000 } }),
      ...(scene.temperature !== null && { temperature: scene.temperature }),
    };
  }

  async ask(text, results) {
    const content = text
      ? [{ type: "text", text }]
      : results.map(({ call, text }) => ({ type: "tool_result", tool_use_id: this.calls[call].id, content: text }));
    this.messages.push({ role: "user", content });
    const asked = { ...this.fields, messages: this.messages };
    const answer = this.stream ? await anthropic.messages.stream(asked).finalMessage() : await anthropic.messages.create(asked);
    this.messages.push({ role: "assistant", content: answer.content.map(({ parsed_output, ...block }) => block) });
    this.calls = answer.content.filter((block) => block.type === "tool_use");
    const { input_tokens, cache_read_input_tokens, output_tokens } = answer.usage;
    return {
      text: answer.content.filter((block) => block.type === "text").map((block) => block.text).join(""),
      calls: this.calls.map((call) => [call.name, call.input]),
      usage: [input_tokens + (cache_read_input_tokens ?? 0), output_tokens],
    };
  }
}

const CALLERS = { "openai-chat": Chat, "openai-responses": Responses, anthropic: Messages };

let failed = 0;
for (const { source, target, model, scene, stream } of cells) {
  const talk = new CALLERS[source](model, scenes[scene], stream);
  try {
    for (const { text, results, answer } of scenes[scene].asks) {
      const got = await talk.ask(text, results);
      assert.deepEqual(got, { text: answer.text, calls: answer.calls, usage: answer.usage });
    }
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${source} > ${target}, ${scene}, ${stream ? "stream" : "whole"}: ${String(error.message).replaceAll(/\s+/g, " ").slice(0, 600)}`);
  }
}
console.log(`npm openai and @anthropic-ai/sdk: ${cells.length - failed} of ${cells.length} pass`);
process.exit(failed ? 1 : 0);
