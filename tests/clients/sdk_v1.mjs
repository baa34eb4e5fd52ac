// npm @modelcontextprotocol/sdk (the v1 line): streamable HTTP and HTTP+SSE. Environment: CAUSEWAY_URL, CAUSEWAY_KEY.
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const base = process.env.CAUSEWAY_URL;
const headers = { authorization: `Bearer ${process.env.CAUSEWAY_KEY}` };

async function use(transport, label) {
    const client = new Client({ name: "sdk-v1", version: "0" });
    await client.connect(transport);
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "listPets"));
    const pets = await client.callTool({ name: "listPets", arguments: { limit: 2 } });
    assert.equal(pets.structuredContent.result.length, 2);
    const wrong = await client.callTool({ name: "getPet", arguments: {} });
    assert.equal(wrong.isError, true);
    assert.match(wrong.content[0].text, /petId/);
    await assert.rejects(client.callTool({ name: "no_such_tool", arguments: {} }), { code: -32602 });
    const { resources } = await client.listResources();
    const { contents } = await client.readResource({ uri: resources[0].uri });
    assert.match(contents[0].text, /pet/i);
    const { prompts } = await client.listPrompts();
    assert.ok((await client.getPrompt({ name: prompts[0].name, arguments: {} })).messages.length > 0);
    await client.close();
    console.log(`@modelcontextprotocol/sdk v1, ${label}: ok`);
}

await use(new StreamableHTTPClientTransport(new URL(`${base}/mcp/petstore`)), "streamable HTTP");
await use(new SSEClientTransport(new URL(`${base}/mcp/petstore/sse`)), "HTTP+SSE");

const guarded = new Client({ name: "sdk-v1", version: "0" });
await guarded.connect(new StreamableHTTPClientTransport(new URL(`${base}/mcp/guarded`), { requestInit: { headers } }));
assert.ok((await guarded.listTools()).tools.length > 0);
const stranger = new Client({ name: "sdk-v1", version: "0" });
await assert.rejects(stranger.connect(new StreamableHTTPClientTransport(new URL(`${base}/mcp/guarded`))), /401|key/i);
console.log("@modelcontextprotocol/sdk v1, with a key and without: ok");
process.exit(0);
