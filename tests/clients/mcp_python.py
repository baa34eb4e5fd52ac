"""The official Python client, against every demo server in both eras and over HTTP+SSE.

Environment: CAUSEWAY_URL, the base URL; CAUSEWAY_KEY, a key for the server `guarded`.
"""

import asyncio
import os

import httpx2
from mcp import Client
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

BASE = os.environ["CAUSEWAY_URL"]
KEY = os.environ["CAUSEWAY_KEY"]


async def use(client: Client, era: str) -> None:
    """What an agent does: list, call with and without mistakes, read, prompt."""
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert "listPets" in tools, sorted(tools)
    assert tools["listPets"].annotations.read_only_hint is True

    pets = await client.call_tool("listPets", {"limit": 2})
    assert not pets.is_error, pets
    assert len(pets.structured_content["result"]) == 2, pets

    made = await client.call_tool("createPet", {"name": f"Mia {era}", "tags": ["cat"]})
    assert not made.is_error, made
    found = await client.call_tool("getPet", {"petId": made.structured_content["id"]})
    assert found.structured_content["name"] == f"Mia {era}", found

    photo = await client.call_tool("getPetPhoto", {"petId": 1})
    assert photo.content[0].type == "image" and photo.content[0].mime_type == "image/png", photo

    wrong = await client.call_tool("listPets", {"limit": "many"})
    assert wrong.is_error and "limit" in wrong.content[0].text, wrong
    missing = await client.call_tool("getPet", {"petId": 987654321})
    assert missing.is_error and "404" in missing.content[0].text, missing
    try:
        await client.call_tool("no_such_tool", {})
    except MCPError as error:
        assert error.error.code == -32602, error
    else:
        raise AssertionError("an unknown tool was called")

    resources = (await client.list_resources()).resources
    assert resources
    overview = await client.read_resource(resources[0].uri)
    assert "pet" in overview.contents[0].text.lower(), overview
    prompts = (await client.list_prompts()).prompts
    assert prompts
    prompt = await client.get_prompt(prompts[0].name, {})
    assert prompt.messages, prompt


async def main() -> None:
    for mode, version in (("legacy", "2025-11-25"), ("auto", "2026-07-28")):
        async with Client(f"{BASE}/mcp/petstore", mode=mode) as client:
            assert client.protocol_version == version, client.protocol_version
            await use(client, version)
    print("mcp (PyPI), streamable HTTP, legacy and modern: ok")

    async with Client(sse_client(f"{BASE}/mcp/petstore/sse"), mode="legacy") as client:
        await use(client, "sse")
    print("mcp (PyPI), HTTP+SSE: ok")

    for mode in ("legacy", "auto"):
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {KEY}"}) as http:
            transport = streamable_http_client(f"{BASE}/mcp/guarded", http_client=http)
            async with Client(transport, mode=mode) as client:
                assert (await client.list_tools()).tools
        try:
            async with Client(f"{BASE}/mcp/guarded", mode=mode) as client:
                await client.list_tools()
        except Exception as error:  # noqa: BLE001 - which class it is differs by era
            assert "401" in repr(error) or "Unauthorized" in repr(error) or "key" in repr(error), repr(error)
        else:
            raise AssertionError("a server that needs a key answered without one")
    print("mcp (PyPI), with a key and without: ok")


asyncio.run(asyncio.wait_for(main(), 120))
