//! An upstream's answer becomes a tool's result.

use crate::mcp::provider::{Content, ToolOutcome};
use crate::mcp::tool::Tool;
use crate::types::UpstreamResponse;

/// Turns what the API answered into what the model reads. Total: an answer that cannot be shown
/// is described.
pub fn render(tool: &Tool, response: &UpstreamResponse) -> ToolOutcome {
    let _ = tool;
    ToolOutcome {
        content: vec![Content::Text(format!(
            "The API answered {}.",
            response.status
        ))],
        is_error: true,
        ..ToolOutcome::default()
    }
}
