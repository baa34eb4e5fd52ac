// npm openai and @anthropic-ai/sdk: a line of standard input is a request in the words of its API (npm.py), a line of
// standard output is what the SDK makes of the answer, and what the next request says of it.

import { createInterface } from "node:readline";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const openai = ({ url, key }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 60_000 });
const anthropic = ({ url, key }) => new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 60_000 });

const SDKS = {
  "openai-chat": {
    whole: (to, asked) => openai(to).chat.completions.create(asked),
    // Of fields it has no type for, the SDK keeps the last piece only.
    async streamed(to, asked) {
      let thought = "";
      const stream = openai(to).chat.completions.stream({ ...asked, stream_options: { include_usage: true } });
      stream.on("chunk", ({ choices }) => (thought += choices[0]?.delta.reasoning_content ?? ""));
      const answer = await stream.finalChatCompletion();
      if (thought) answer.choices[0].message.reasoning_content = thought;
      return answer;
    },
    said: ({ choices }) => [choices[0].message],
  },
  "openai-responses": {
    whole: (to, asked) => openai(to).responses.create(asked),
    streamed: (to, asked) => openai(to).responses.stream(asked).finalResponse(),
    said: ({ output }) => output,
  },
  anthropic: {
    whole: (to, asked) => anthropic(to).messages.create(asked),
    streamed: (to, asked) => anthropic(to).messages.stream(asked).finalMessage(),
    said: ({ role, content }) => [{ role, content }],
  },
};

async function answered({ dialect, stream, to, asked }) {
  const sdk = SDKS[dialect];
  try {
    const answer = await (stream ? sdk.streamed : sdk.whole)(to, asked);
    return { answer, said: sdk.said(answer) };
  } catch (error) {
    // Anthropic's keeps the whole body.
    const body = error.error?.error ?? error.error;
    return error.status ? { refused: [error.status, body?.message] } : { failed: `${error.name}: ${error.message}` };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answered(JSON.parse(line))));
}
