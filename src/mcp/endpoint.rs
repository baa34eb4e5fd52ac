//! The MCP wire: streamable HTTP, legacy HTTP+SSE, stdio.
