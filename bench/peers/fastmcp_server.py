"""FastMCP's from_openapi over streamable HTTP, tuned: stateless, JSON answers, uvloop, many connections."""
import json
import sys

import httpx2
import uvloop
from fastmcp import FastMCP

document, port = sys.argv[1], int(sys.argv[2])
limits = httpx2.Limits(max_connections=512, max_keepalive_connections=512)
client = httpx2.AsyncClient(base_url="http://127.0.0.1:9100", timeout=30, limits=limits)
with open(document) as file:
    server = FastMCP.from_openapi(openapi_spec=json.load(file), client=client, name="bench")
uvloop.install()
server.run(
    transport="http", host="127.0.0.1", port=port, path="/mcp", show_banner=False,
    log_level="error", uvicorn_config={"access_log": False, "log_level": "error"},
    stateless_http=True, json_response=True)
