"""The FastMCP client against the demo servers. Environment: CAUSEWAY_URL."""

import asyncio
import os

from fastmcp import Client
from fastmcp.exceptions import ToolError

BASE = os.environ["CAUSEWAY_URL"]


async def main() -> None:
    async with Client(f"{BASE}/mcp/petstore") as client:
        names = {tool.name for tool in await client.list_tools()}
        assert "listPets" in names, names
        pets = await client.call_tool("listPets", {"limit": 1})
        assert len(pets.structured_content["result"]) == 1, pets
        try:
            await client.call_tool("getPet", {"petId": 987654321})
        except ToolError as error:
            assert "404" in str(error), error
        else:
            raise AssertionError("a missing pet was found")
        assert await client.list_resources()
        assert await client.list_prompts()
    print("FastMCP client: ok")


asyncio.run(asyncio.wait_for(main(), 60))
