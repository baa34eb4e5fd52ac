//! Configuration: defaults < file < environment < flags, read once, checked as a whole.
//!
//! `config.default.toml` is the reference: every key, its meaning and its default. This is the only
//! module that reads the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::{Position, Url};

use crate::egress::AllowRule;

const DEFAULTS: &str = include_str!("../config.default.toml");
const PREFIX: &str = "CAUSEWAY__";

/// Everything a process needs to start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub store: StoreConfig,
    pub secrets: SecretsConfig,
    pub oidc: OidcConfig,
    pub egress: EgressConfig,
    pub limits: LimitsConfig,
    pub telemetry: TelemetryConfig,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    #[serde(deserialize_with = "empty_is_none")]
    pub public_url: Option<Url>,
    #[serde(deserialize_with = "empty_is_none")]
    pub tls_cert: Option<PathBuf>,
    #[serde(deserialize_with = "empty_is_none")]
    pub tls_key: Option<PathBuf>,
    #[serde(deserialize_with = "empty_is_none")]
    pub prices: Option<PathBuf>,
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    #[serde(deserialize_with = "origins")]
    pub cors_origins: Vec<String>,
    pub legacy_sse: bool,
    pub log_format: LogFormat,
    pub log_level: String,
    pub shutdown_grace_ms: u64,
    pub connections_max: usize,
    pub demo: Demo,
    pub management_server: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Whether the demo is seeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Demo {
    Auto,
    On,
    Off,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    pub data: PathBuf,
    #[serde(deserialize_with = "empty_is_none")]
    pub database_url: Option<Url>,
    #[serde(deserialize_with = "empty_is_none")]
    pub database_password_file: Option<PathBuf>,
    #[serde(deserialize_with = "empty_is_none")]
    pub redis_url: Option<Url>,
    pub connections_max: u32,
}

/// Keys given from outside. Never printed.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    #[serde(deserialize_with = "empty_is_none")]
    pub master_key: Option<String>,
    #[serde(deserialize_with = "empty_is_none")]
    pub master_key_file: Option<PathBuf>,
    #[serde(deserialize_with = "empty_is_none")]
    pub admin_key: Option<String>,
    #[serde(deserialize_with = "empty_is_none")]
    pub admin_key_file: Option<PathBuf>,
    #[serde(deserialize_with = "empty_is_none")]
    pub admin_password_file: Option<PathBuf>,
}

impl std::fmt::Debug for SecretsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretsConfig(…)")
    }
}

/// The identity provider people sign in through. Its rules are judged where it is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcConfig {
    pub issuer: String,
    pub client_id: String,
    #[serde(deserialize_with = "secret")]
    pub client_secret: Option<SecretString>,
    #[serde(deserialize_with = "empty_is_none")]
    pub client_secret_file: Option<PathBuf>,
    pub scopes: Vec<String>,
    pub label: String,
    pub role_claim: String,
    pub admin_values: Vec<String>,
    pub publisher_values: Vec<String>,
    pub member_values: Vec<String>,
    pub default_role: DefaultRole,
    pub email_domains: Vec<String>,
    pub create_accounts: bool,
}

/// What somebody is whom nothing says more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefaultRole {
    Admin,
    Publisher,
    Member,
    /// They are not let in.
    None,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgressConfig {
    #[serde(deserialize_with = "rules")]
    pub allow_upstream: Vec<AllowRule>,
    pub connect_timeout_ms: u64,
    pub first_byte_timeout_ms: u64,
    pub body_bytes_max: usize,
    pub allow_remote_refs: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    pub document_bytes_max: usize,
    pub operations_max: usize,
    pub live_bytes_max: u64,
    /// 0: for good.
    pub ledger_days: u32,
    /// 0: no ceiling.
    pub address_requests_per_minute: u64,
    /// 0: no pace.
    pub management_requests_per_second: u64,
    pub management_burst: u64,
    /// 0: no limit.
    pub keys_per_person: u64,
    /// 0: for good.
    pub usage_days: u32,
}

/// Where spans of calls and measures are sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetryConfig {
    #[serde(deserialize_with = "empty_is_none")]
    pub otlp_endpoint: Option<Url>,
    #[serde(deserialize_with = "empty_is_none")]
    pub otlp_headers_file: Option<PathBuf>,
    /// Of the traces that begin here, how many are sampled: 0 to 1.
    #[serde(deserialize_with = "share")]
    pub sample_ratio: f64,
    /// 0: measures are not sent.
    pub otlp_metrics_every_s: u64,
    /// Regular expressions of what is hidden in bodies that are logged.
    pub hidden_patterns: Vec<String>,
}

/// Where settings come from, the later winning over the earlier.
#[derive(Debug, Default)]
pub struct Sources {
    /// Path and text of the file.
    pub file: Option<(PathBuf, String)>,
    /// The environment, whole; what does not begin with `CAUSEWAY__` is passed over.
    pub environment: Vec<(String, String)>,
    /// `section.key` and value, from flags.
    pub flags: Vec<(&'static str, toml::Value)>,
}

/// Every fault found, each with its source.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is not valid:\n{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

impl Config {
    /// Puts the sources together. All faults are reported at once.
    pub fn load(sources: Sources) -> Result<Self, ConfigError> {
        let mut faults = Vec::new();
        let defaults = DEFAULTS.parse::<toml::Table>();
        let mut merged = defaults.map_err(|e| ConfigError(vec![format!("- defaults: {e}")]))?;
        if let Some((path, text)) = sources.file {
            let source = path.display().to_string();
            match text.parse::<toml::Table>() {
                Ok(table) => {
                    for (section, key, value) in leaves(table) {
                        let setting = Setting {
                            section: &section,
                            key: &key,
                            value,
                            source: &source,
                        };
                        set(&mut merged, setting, &mut faults);
                    }
                }
                Err(error) => faults.push(format!("- {source}: {error}")),
            }
        }
        for (name, value) in sources.environment {
            let Some(path) = name.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else {
                continue;
            };
            let Some((section, key)) = path.split_once("__") else {
                faults.push(format!("- {name}: write {PREFIX}SECTION__KEY"));
                continue;
            };
            let setting = Setting {
                section,
                key,
                value: typed(merged.get(section).and_then(|s| s.get(key)), &value),
                source: &name,
            };
            set(&mut merged, setting, &mut faults);
        }
        for (path, value) in sources.flags {
            let (section, key) = path.split_once('.').unwrap_or((path, ""));
            set(
                &mut merged,
                Setting {
                    section,
                    key,
                    value,
                    source: "a flag",
                },
                &mut faults,
            );
        }
        if !faults.is_empty() {
            return Err(ConfigError(faults));
        }
        toml::Value::Table(merged)
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError(vec![format!("- {error}")]))
    }
}

fn leaves(table: toml::Table) -> Vec<(String, String, toml::Value)> {
    let mut out = Vec::new();
    for (section, value) in table {
        match value {
            toml::Value::Table(members) => {
                out.extend(
                    members
                        .into_iter()
                        .map(|(key, value)| (section.clone(), key, value)),
                );
            }
            other => out.push((section, String::new(), other)),
        }
    }
    out
}

/// One key as one source has it.
struct Setting<'a> {
    section: &'a str,
    key: &'a str,
    value: toml::Value,
    source: &'a str,
}

/// Sets one key if it exists and the whole is still valid with it.
fn set(merged: &mut toml::Table, setting: Setting<'_>, faults: &mut Vec<String>) {
    let Setting {
        section,
        key,
        value,
        source,
    } = setting;
    let Some(slot) = merged.get_mut(section).and_then(|s| s.get_mut(key)) else {
        let name = if key.is_empty() {
            section.to_owned()
        } else {
            format!("{section}.{key}")
        };
        faults.push(format!(
            "- {source}: there is no setting {name} (config.default.toml lists all)"
        ));
        return;
    };
    // A number or list in the environment may look like something else: the default's type decides.
    let value = match (&*slot, value) {
        (toml::Value::String(_), toml::Value::String(text)) => toml::Value::String(text),
        (toml::Value::String(_), toml::Value::Integer(number)) => {
            toml::Value::String(number.to_string())
        }
        (toml::Value::Float(_), toml::Value::String(text)) => text
            .parse::<f64>()
            .map_or(toml::Value::String(text), toml::Value::Float),
        (toml::Value::Array(_), toml::Value::String(text)) => toml::Value::Array(
            text.split(',')
                .map(|t| toml::Value::String(t.trim().to_owned()))
                .collect(),
        ),
        (_, value) => value,
    };
    let before = std::mem::replace(slot, value);
    if let Err(error) = toml::Value::Table(merged.clone()).try_into::<Config>() {
        faults.push(format!("- {source}: {section}.{key}: {}", error.message()));
        if let Some(slot) = merged.get_mut(section).and_then(|s| s.get_mut(key)) {
            *slot = before;
        }
    }
}

/// What the environment says, as the default's type reads it. A text stays as it was written: a key
/// of digits keeps its zeros.
fn typed(default: Option<&toml::Value>, text: &str) -> toml::Value {
    match text {
        _ if matches!(default, Some(toml::Value::String(_))) => {
            toml::Value::String(text.to_owned())
        }
        "true" => toml::Value::Boolean(true),
        "false" => toml::Value::Boolean(false),
        _ => text.parse::<i64>().map_or_else(
            |_| toml::Value::String(text.to_owned()),
            toml::Value::Integer,
        ),
    }
}

fn empty_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

/// A text that is never shown; an empty one is none.
fn secret<'de, D>(deserializer: D) -> Result<Option<SecretString>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

/// A part of a whole, from 0 to 1.
fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(serde::de::Error::custom("a number from 0 to 1"))
}

fn rules<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<AllowRule>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

/// Networks; a bare address is a network of one.
fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| {
        let one = || text.parse::<IpAddr>().map(IpNet::from);
        text.parse().or_else(|_| one()).map_err(|_| {
            let said = format!("\"{text}\" is no address and no CIDR range");
            serde::de::Error::custom(said)
        })
    };
    texts.iter().map(network).collect()
}

/// Origins as browsers write them; `*` is all of them.
fn origins<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let texts = texts.iter().filter(|text| !text.is_empty());
    let origin = |text: &String| {
        origin(text).ok_or_else(|| {
            let said =
                format!("\"{text}\" is no origin, such as \"https://app.example.com\", nor \"*\"");
            serde::de::Error::custom(said)
        })
    };
    texts.map(origin).collect()
}

fn origin(text: &str) -> Option<String> {
    if text == "*" {
        return Some(text.to_owned());
    }
    let url = Url::parse(text).ok().filter(Url::has_host)?;
    let rest = &url[Position::AfterPort..];
    let is_bare = rest.is_empty() || rest == "/";
    let is_open = url.username().is_empty() && url.password().is_none();
    (is_bare && is_open).then(|| url[..Position::AfterPort].to_owned())
}

/// The process's environment.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Every variable of the process whose name begins as ours do.
pub fn environment_of_causeway() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(
        file: &str,
        environment: &[(&str, &str)],
        flags: Vec<(&'static str, toml::Value)>,
    ) -> Result<Config, ConfigError> {
        Config::load(Sources {
            file: Some((PathBuf::from("causeway.toml"), file.to_owned())),
            environment: environment
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            flags,
        })
    }

    #[test]
    fn the_later_source_wins() {
        let file =
            "[server]\nlisten = \"127.0.0.1:1\"\nlog_level = \"debug\"\n[store]\ndata = \"/a\"";
        let environment = [
            ("CAUSEWAY__SERVER__LISTEN", "127.0.0.1:2"),
            ("CAUSEWAY__STORE__DATA", "/b"),
            ("PATH", "/bin"),
        ];
        let config = load(file, &environment, vec![("store.data", "/c".into())]).unwrap();
        assert_eq!(config.server.listen.port(), 2);
        assert_eq!(config.server.log_level, "debug");
        assert_eq!(config.store.data, PathBuf::from("/c"));
        assert_eq!(config.server.public_url, None);
    }

    #[test]
    fn origins_are_those_of_browsers() {
        let of = |text: &str| {
            let given = [("CAUSEWAY__SERVER__CORS_ORIGINS", text)];
            load("", &given, Vec::new()).map(|config| config.server.cors_origins)
        };
        assert_eq!(of("").unwrap(), Vec::<String>::new());
        assert_eq!(of("*").unwrap(), ["*"]);
        let said = "https://App.example.com:443/, http://localhost:3000,chrome-extension://abc";
        let expected = [
            "https://app.example.com",
            "http://localhost:3000",
            "chrome-extension://abc",
        ];
        assert_eq!(of(said).unwrap(), expected);
        for wrong in [
            "app.example.com",
            "https://a.example/path",
            "https://u@a.example",
            "null",
        ] {
            let text = of(wrong).unwrap_err().to_string();
            assert!(text.contains("is no origin"), "{wrong}: {text}");
        }
    }

    #[test]
    fn a_text_in_the_environment_stays_as_it_was_written() {
        for text in ["0000123456789012", "true", "+1"] {
            let config = load("", &[("CAUSEWAY__SECRETS__ADMIN_KEY", text)], Vec::new()).unwrap();
            assert_eq!(config.secrets.admin_key.as_deref(), Some(text));
        }
        let off = [("CAUSEWAY__SERVER__LEGACY_SSE", "false")];
        assert!(!load("", &off, Vec::new()).unwrap().server.legacy_sse);
        let few = [("CAUSEWAY__LIMITS__OPERATIONS_MAX", "7")];
        assert_eq!(load("", &few, Vec::new()).unwrap().limits.operations_max, 7);
    }

    #[test]
    fn the_secret_of_a_client_is_not_in_what_is_logged() {
        let given = [("CAUSEWAY__OIDC__CLIENT_SECRET", "0123-never-shown")];
        let config = load("", &given, Vec::new()).unwrap();
        assert!(config.oidc.client_secret.is_some());
        assert!(!format!("{config:?}").contains("never-shown"));
        let wrong = [("CAUSEWAY__OIDC__DEFAULT_ROLE", "owner")];
        assert!(load("", &wrong, Vec::new()).is_err());
    }

    #[test]
    fn every_fault_is_named_with_its_source() {
        let file = "[server]\nlisten = \"nowhere\"\nlisen = 1";
        let environment = [
            ("CAUSEWAY__SERVER__DEMO", "maybe"),
            ("CAUSEWAY__EGRESS__ALLOW_UPSTREAM", "10.0.0.0/8,10.0.0.0/99"),
        ];
        let error = load(file, &environment, Vec::new()).unwrap_err();
        let text = error.to_string();
        for part in [
            "causeway.toml: server.listen",
            "server.lisen",
            "CAUSEWAY__SERVER__DEMO",
            "CAUSEWAY__EGRESS__ALLOW_UPSTREAM",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert_eq!(error.0.len(), 4, "{text}");
    }
}
