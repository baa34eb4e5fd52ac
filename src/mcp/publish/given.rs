//! What whoever publishes a document says of the server's settings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::live::Entry;
use crate::mcp::server::{Access, ServerSettings, ToolsMode};

/// What was said of a server's settings. What was not stays as it is, or is a new server's default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GivenSettings {
    pub access: Option<Access>,
    pub upstream: Option<String>,
    pub server: Option<String>,
    pub server_variables: Option<BTreeMap<String, String>>,
    pub allow_upstream: Option<Vec<String>>,
    pub tools: Option<ToolsMode>,
    pub category: Option<String>,
    pub tags: Option<Vec<String>>,
    /// The service inside this process that answers. Only the process itself says so: whoever
    /// publishes another document means another API.
    #[serde(skip)]
    pub internal: Option<String>,
}

impl GivenSettings {
    /// What may be reached for a document: as the server will, or as the one there is.
    pub fn may_reach(&self, current: Option<&Entry>) -> Vec<String> {
        let given = self.allow_upstream.clone();
        given
            .or_else(|| Some(current?.settings.allow_upstream.clone()))
            .unwrap_or_default()
    }

    pub(super) fn on(&self, current: &ServerSettings) -> ServerSettings {
        let mut settings = current.clone();
        settings.access = self.access.unwrap_or(current.access);
        if self.upstream.is_some() {
            settings.upstream.clone_from(&self.upstream);
        }
        if self.server.is_some() {
            settings.server.clone_from(&self.server);
        }
        if let Some(variables) = &self.server_variables {
            settings.server_variables.clone_from(variables);
        }
        if let Some(rules) = &self.allow_upstream {
            settings.allow_upstream.clone_from(rules);
        }
        settings.tools = self.tools.unwrap_or(current.tools);
        if self.category.is_some() {
            settings.category.clone_from(&self.category);
        }
        if self.tags.is_some() {
            settings.tags.clone_from(&self.tags);
        }
        settings.internal.clone_from(&self.internal);
        settings
    }
}
