// npm @modelcontextprotocol/client (the v2 line) in both eras. Environment: CAUSEWAY_URL.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const base = process.env.CAUSEWAY_URL;

for (const [label, versionNegotiation] of [
    ["legacy", undefined],
    ["auto", { mode: "auto" }],
    ["2026-07-28", { mode: { pin: "2026-07-28" } }],
]) {
    const client = new Client({ name: "client-v2", version: "0" }, { versionNegotiation });
    await client.connect(new StreamableHTTPClientTransport(new URL(`${base}/mcp/petstore`)));
    const { tools } = await client.listTools();
    assert.ok(tools.some((tool) => tool.name === "listPets"));
    const pets = await client.callTool({ name: "listPets", arguments: { limit: 2 } });
    assert.equal(pets.structuredContent.result.length, 2);
    const made = await client.callTool({ name: "createPet", arguments: { name: `Nele ${label}` } });
    assert.equal(made.structuredContent.name, `Nele ${label}`);
    const wrong = await client.callTool({ name: "getPet", arguments: { petId: "x" } });
    assert.equal(wrong.isError, true);
    await client.close();
    console.log(`@modelcontextprotocol/client v2, ${label}: ok`);
}
process.exit(0);
