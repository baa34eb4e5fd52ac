//! Names with a rule. A value of these types is valid by construction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a valid name. The message states the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a tool name is 1 to {max} of A-Z a-z 0-9 _ - .", max = ToolName::LENGTH_MAX)]
    Tool,
    #[error(
        "a slug is 1 to {max} of a-z 0-9 -, starts and ends with a letter or digit",
        max = Slug::LENGTH_MAX
    )]
    Slug,
    #[error(
        "\"{0}\" is reserved: an address with it means something else, or would mislead; choose \
         another slug, such as \"{0}-api\" or \"my-{0}\""
    )]
    Reserved(String),
}

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

/// A tool's name as MCP allows it (2025-11-25, server/tools, "Tool Names"): 1 to 128 of
/// `[A-Za-z0-9_.-]`. The generator stays within 40 of `[A-Za-z0-9_-]`, because model providers
/// limit the name *after* the client has put its own prefix before it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ToolName(String);

impl ToolName {
    /// MCP's limit.
    pub const LENGTH_MAX: usize = 128;
    /// What the generator aims at.
    pub const GENERATED_LENGTH_MAX: usize = 40;
}

impl FromStr for ToolName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let valid = (1..=Self::LENGTH_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Tool)
        }
    }
}

text_newtype!(ToolName);

/// A server's name in URLs: `/mcp/{slug}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

impl Slug {
    /// Short, because clients put it before every tool name.
    pub const LENGTH_MAX: usize = 40;
    /// Words that no server is given as a name: those that stand in addresses of ours, beside or in the
    /// place of a slug, and those that would pass a server off as the gateway itself. A test holds them
    /// against every route there is.
    pub const RESERVED: [&'static str; 63] = [
        "-",
        "about",
        "account",
        "admin",
        "answers",
        "anthropic",
        "api",
        "approvals",
        "assets",
        "audit",
        "auth",
        "callback",
        "catalog",
        "causeway",
        "config",
        "connect",
        "consumers",
        "dashboard",
        "deleted",
        "docs",
        "doctor",
        "echo",
        "exposed",
        "health",
        "healthz",
        "help",
        "hub",
        "import",
        "imports",
        "internal",
        "invite",
        "keys",
        "language",
        "ledger",
        "login",
        "logout",
        "mcp",
        "messages",
        "metrics",
        "models",
        "new",
        "oauth",
        "official",
        "openai",
        "plans",
        "playground",
        "provider-kinds",
        "providers",
        "publish",
        "readyz",
        "registry",
        "reset",
        "root",
        "security",
        "server-card",
        "servers",
        "setup",
        "sse",
        "stream",
        "support",
        "system",
        "usage",
        "users",
    ];
    /// The same, of words that are versions of an API: `v` and a number.
    fn is_version(text: &str) -> bool {
        text.strip_prefix('v')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }

    /// Whether a server may be given this name from now on. Those that have a reserved one keep it.
    pub fn check_free(&self) -> Result<(), NameError> {
        if Self::RESERVED.contains(&self.as_str()) || Self::is_version(self.as_str()) {
            Err(NameError::Reserved(self.0.clone()))
        } else {
            Ok(())
        }
    }
}

impl FromStr for Slug {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let valid = bytes.len() <= Self::LENGTH_MAX
            && edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if !valid {
            return Err(NameError::Slug);
        }
        Ok(Self(text.to_owned()))
    }
}

text_newtype!(Slug);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_follow_their_rule() {
        for good in ["petstore", "a", "a-b-1", "2024"] {
            assert_eq!(good.parse::<Slug>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "ä", &"x".repeat(41)] {
            assert_eq!(bad.parse::<Slug>(), Err(NameError::Slug), "{bad}");
        }
    }

    #[test]
    fn a_reserved_slug_is_read_and_not_given() {
        for taken in ["sse", "messages", "server-card", "admin", "v1", "v0"] {
            let slug: Slug = taken.parse().unwrap();
            let refused = slug.check_free().unwrap_err();
            assert_eq!(refused, NameError::Reserved(taken.into()));
            let said = refused.to_string();
            assert!(said.contains(&format!("\"{taken}-api\"")), "{said}");
        }
        for free in ["petstore", "admin-api", "v", "v1-pets", "my-mcp", "vault"] {
            assert_eq!(free.parse::<Slug>().unwrap().check_free(), Ok(()), "{free}");
        }
    }

    #[test]
    fn tool_names_follow_the_mcp_rule() {
        assert!("get_pet.v1-x".parse::<ToolName>().is_ok());
        for bad in ["", "a b", "größe", &"x".repeat(129)] {
            assert_eq!(bad.parse::<ToolName>(), Err(NameError::Tool), "{bad}");
        }
    }
}
