//! What an owner sets on a server: who may call it, where its calls go, its credentials, its
//! document, its name.

pub mod credential;
pub mod probe;
mod resilience;
pub mod section;

use askama::Template;
use serde_json::{Value, json};

use crate::market::api::security::is_refused;
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::limits::LimitRow;
use crate::market::pages::publish::PublishValues;
use crate::market::pages::server::ServerHead;
use crate::market::pages::settings::credential::CredentialRow;
use crate::market::pages::settings::probe::{ProbeChoice, ProbeForm};
use crate::market::pages::settings::resilience::ResilienceForm;
use crate::market::pages::settings::section::{Section, Told};
use crate::mcp::server::{Access, Server, ServerSettings, SessionSettings};
use crate::problem::{Problem, ProblemKind};

/// `GET /servers/{slug}/settings`, and again with what was entered when it was refused.
#[derive(Debug, Template)]
#[template(path = "settings.html")]
pub struct SettingsPage {
    pub frame: Frame,
    pub head: ServerHead,
    pub slug: String,
    pub title: String,
    /// What the form that was sent came to.
    pub told: Option<Told>,
    pub form: SettingsForm,
    /// Where it is told how the API does.
    pub health: String,
    /// What the API can be asked by whether it is well.
    pub probes: Vec<ProbeChoice>,
    /// How much may be used, and rows for more.
    pub limits: Vec<LimitRow>,
    /// The server is answered inside this process and has no address.
    pub internal: bool,
    /// Where its calls go now.
    pub destinations: Vec<String>,
    pub credentials: Vec<CredentialRow>,
    /// What authorization servers have to know of us.
    pub redirect_uri: String,
    pub version: i64,
    pub published: String,
    pub document_url: Option<String>,
    /// A document to publish in place of the one there is.
    pub values: PublishValues,
    pub size_max: String,
    /// The new name that was entered.
    pub rename: String,
    /// Whether it is served, and what its callers are told where it is not.
    pub state: &'static str,
    pub note: String,
    /// Whom it was to be given to.
    pub to: String,
}

/// What a server may be: as the form sends it, its message, and the message that explains it.
pub const STATES: [(&str, &str, &str); 3] = [
    ("served", "state-served", "state-served-help"),
    ("disabled", "state-disabled", "state-disabled-help"),
    ("unpublished", "state-unpublished", "state-unpublished-help"),
];

impl SettingsPage {
    /// What is said in a section, of none of its credentials.
    pub fn told_in(&self, section: Section) -> Option<&Told> {
        let told = self.told.as_ref();
        told.filter(|told| told.section == section && told.scheme.is_empty())
    }

    /// The operation that asks whether the API is well, as its document writes it where that is known.
    pub fn probe_route(&self) -> &str {
        let set = &self.form.probe.operation;
        let known = self.probes.iter().find(|choice| choice.operation == *set);
        known.map_or(set, |choice| &choice.route)
    }

    /// What is said of a credential.
    pub fn told_of(&self, scheme: &str) -> Option<&Told> {
        let told = self.told.as_ref();
        told.filter(|told| told.section == Section::Credentials && told.scheme == scheme)
    }

    /// Whether what was entered in a section was refused.
    pub fn is_refused(&self, section: Section) -> bool {
        self.told_in(section).is_some_and(|told| !told.is_done)
    }

    /// Something is said beside a form: of a credential only while it is on the page.
    pub fn tell(&mut self, mut told: Told) {
        let is_there = |scheme: &str| self.credentials.iter().any(|row| row.scheme == scheme);
        if !is_there(&told.scheme) {
            told.scheme.clear();
        }
        self.told = Some(told);
    }
}

/// The API's names of fields, and the messages that label them here.
const LABELS: [(&str, &str); 38] = [
    ("probe", "settings-probe"),
    ("probe.everyMinutes", "label-probe-minutes"),
    ("probe.arguments", "label-probe-arguments"),
    ("callPriceMicros", "label-price"),
    ("resilience.connectTimeoutMs", "label-connect"),
    ("resilience.firstByteTimeoutMs", "label-first-byte"),
    ("resilience.retries", "label-retries"),
    ("resilience.breaker.failures", "label-failures"),
    ("resilience.breaker.pauseMs", "label-pause"),
    ("approvalMinutes", "label-approval-minutes"),
    ("approvalWebhook", "label-approval-webhook"),
    ("category", "label-category"),
    ("tags", "label-tags"),
    ("upstream", "label-upstream"),
    ("allowUpstream", "label-allow-upstream"),
    ("callTimeoutMs", "label-timeout"),
    ("toolsPageMax", "label-tools-page"),
    ("answerBytesMax", "label-answer"),
    ("toolTokensMax", "label-tool-tokens"),
    ("listTokensMax", "label-list-tokens"),
    ("sessions.idleMs", "label-idle"),
    ("sessions.sessionsMax", "label-sessions-max"),
    ("slug", "label-slug"),
    ("document", "label-document"),
    ("file", "label-file"),
    ("url", "label-url"),
    ("value", "label-value"),
    ("tokenOrigins", "label-token-origins"),
    ("name", "label-name"),
    ("servers", "frame-servers"),
    ("grants", "keys-scope"),
    ("overlap", "keys-overlap"),
    ("issuer", "issuers-issuer"),
    ("audience", "issuers-audience"),
    ("jwksUrl", "issuers-keys-url"),
    ("consumerClaim", "issuers-consumer-claim"),
    ("everyServer", "issuers-everywhere"),
    ("grantsFrom", "issuers-values"),
];

/// A refusal as a sentence, with the form's labels in place of the API's names. What a document is
/// refused for speaks of the document's own names, which stay.
pub fn labelled(problem: &Problem, language: Language) -> Html {
    let detail = problem.detail.as_str();
    if problem.kind == ProblemKind::Unprocessable && !detail.starts_with(['`', '“']) {
        return Html::with_code(&sentence(detail));
    }
    Html::with_code(&sentence(&with_labels(detail, language)))
}

/// A text with a capital at its beginning and a stop at its end.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    let mut text: String = first.into_iter().chain(chars).collect();
    if !text.ends_with(['.', '!', '?', ')']) {
        text.push('.');
    }
    text
}

fn with_labels(detail: &str, language: Language) -> String {
    LABELS
        .iter()
        .fold(detail.to_owned(), |text, (name, label)| {
            let label = language.say(label);
            text.replace(&format!("`{name}`"), &format!("“{label}”"))
        })
}

/// The settings as they stand in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsForm {
    /// The server's revision the form was made from.
    pub revision: String,
    pub access: Access,
    pub upstream: String,
    pub allow: String,
    /// `default`, `on` or `off`.
    pub legacy_sse: String,
    pub sessions: bool,
    pub idle_seconds: String,
    pub sessions_max: String,
    pub timeout_seconds: String,
    pub resilience: ResilienceForm,
    pub probe: ProbeForm,
    /// Empty: an hour.
    pub approval_minutes: String,
    pub approval_webhook: String,
    /// Of a call, in dollars; empty: none.
    pub price: String,
    pub tools_page_max: String,
    pub answer_kib: String,
    /// `auto`, `all` or `search`.
    pub tools: String,
    /// A profile, or `auto`.
    pub profile: String,
    pub tool_tokens_max: String,
    pub list_tokens_max: String,
    pub category: String,
    /// Between commas; empty: those of the document.
    pub tags: String,
}

impl SettingsForm {
    /// As a server has them.
    pub fn of(settings: &ServerSettings, revision: i64) -> Self {
        let sessions = settings.sessions.unwrap_or_default();
        Self {
            revision: revision.to_string(),
            access: settings.access,
            upstream: settings.upstream.clone().unwrap_or_default(),
            allow: settings.allow_upstream.join("\n"),
            legacy_sse: match settings.legacy_sse {
                None => "default",
                Some(true) => "on",
                Some(false) => "off",
            }
            .to_owned(),
            sessions: settings.sessions.is_some(),
            idle_seconds: seconds(sessions.idle_ms),
            sessions_max: sessions.sessions_max.to_string(),
            timeout_seconds: seconds(settings.call_timeout_ms),
            resilience: ResilienceForm::of(&settings.resilience),
            probe: ProbeForm::of(settings.probe.as_ref()),
            approval_minutes: settings
                .approval_minutes
                .map(|minutes| minutes.to_string())
                .unwrap_or_default(),
            price: settings
                .call_price_micros
                .map(|micros| decimal(micros, 6))
                .unwrap_or_default(),
            approval_webhook: settings.approval_webhook.clone().unwrap_or_default(),
            tools_page_max: settings.tools_page_max.to_string(),
            answer_kib: settings.answer_bytes_max.div_ceil(1_024).to_string(),
            tools: word(&settings.tools),
            profile: word(&settings.profile),
            tool_tokens_max: settings.tool_tokens_max.to_string(),
            list_tokens_max: settings.list_tokens_max.to_string(),
            category: settings.category.clone().unwrap_or_default(),
            tags: settings.tags.as_deref().unwrap_or_default().join(", "),
        }
    }

    /// What was entered in a section, in place of what stands there.
    pub fn enter(&mut self, section: Section, form: &Entered) {
        let text = |name: &str| entered(form, name).unwrap_or_default().trim().to_owned();
        self.revision = text("revision");
        match section {
            Section::Price => self.price = text("price"),
            Section::Probe => self.probe = ProbeForm::entered(text),
            Section::Approvals => {
                self.approval_minutes = text("approvalMinutes");
                self.approval_webhook = text("approvalWebhook");
            }
            _ => self.enter_calls(text),
        }
    }

    fn enter_calls(&mut self, text: impl Fn(&str) -> String) {
        self.access = match text("access").as_str() {
            "open" => Access::Open,
            "private" => Access::Private,
            _ => Access::Key,
        };
        self.upstream = text("upstream");
        self.allow = text("allow");
        self.legacy_sse = text("legacySse");
        self.sessions = text("sessions") == "on";
        self.idle_seconds = text("idleSeconds");
        self.sessions_max = text("sessionsMax");
        self.timeout_seconds = text("timeoutSeconds");
        self.tools_page_max = text("toolsPageMax");
        self.answer_kib = text("answerKib");
        self.tools = text("tools");
        self.profile = text("profile");
        self.tool_tokens_max = text("toolTokensMax");
        self.list_tokens_max = text("listTokensMax");
        self.category = text("category");
        self.tags = text("tags");
        self.resilience = ResilienceForm::entered(text);
    }

    /// The change of a section as the management API takes it.
    ///
    /// # Errors
    /// A sentence that names the field that is not understood.
    pub fn change(
        &self,
        section: Section,
        (internal, language): (bool, Language),
    ) -> Result<Value, Html> {
        match section {
            Section::Price => self.price_change(language),
            Section::Probe => Ok(json!({"probe": self.probe.change(language)?})),
            Section::Approvals => self.approvals_change(language),
            _ => self.calls_change(internal, language),
        }
    }

    fn price_change(&self, language: Language) -> Result<Value, Html> {
        let price = match self.price.as_str() {
            "" => None,
            text => Some(
                fixed(text, 6)
                    .ok_or_else(|| wrong(language, "settings-want-dollars", "label-price"))?,
            ),
        };
        Ok(json!({"callPriceMicros": price}))
    }

    fn approvals_change(&self, language: Language) -> Result<Value, Html> {
        let minutes =
            match self.approval_minutes.as_str() {
                "" => None,
                text => Some(text.parse::<usize>().map_err(|_| {
                    wrong(language, "settings-want-whole", "label-approval-minutes")
                })?),
            };
        let webhook = Some(&self.approval_webhook).filter(|url| !url.is_empty());
        Ok(json!({"approvalMinutes": minutes, "approvalWebhook": webhook}))
    }

    fn calls_change(&self, internal: bool, language: Language) -> Result<Value, Html> {
        let milliseconds = |label, text: &str| {
            milliseconds(text).ok_or_else(|| wrong(language, "settings-want-seconds", label))
        };
        let whole = |label, text: &str| {
            let number = text.parse::<usize>();
            number.map_err(|_| wrong(language, "settings-want-whole", label))
        };
        let sessions = SessionSettings {
            idle_ms: milliseconds("label-idle", &self.idle_seconds)?,
            sessions_max: whole("label-sessions-max", &self.sessions_max)?,
        };
        let mut change = json!({
            "access": self.access,
            "legacySse": match self.legacy_sse.as_str() {
                "on" => Some(true),
                "off" => Some(false),
                _ => None,
            },
            "sessions": self.sessions.then_some(sessions),
            "callTimeoutMs": milliseconds("label-timeout", &self.timeout_seconds)?,
            "resilience": self.resilience.change(language)?,
            "toolsPageMax": whole("label-tools-page", &self.tools_page_max)?,
            "tools": self.tools,
            "profile": self.profile,
            "toolTokensMax": whole("label-tool-tokens", &self.tool_tokens_max)?,
            "listTokensMax": whole("label-list-tokens", &self.list_tokens_max)?,
        });
        if !self.answer_kib.is_empty() {
            let kib = whole("label-answer", &self.answer_kib)?;
            change["answerBytesMax"] = json!(kib.saturating_mul(1 << 10));
        }
        let tags = self.tags.split([',', '，', '、']).map(str::trim);
        let tags: Vec<&str> = tags.filter(|tag| !tag.is_empty()).collect();
        change["tags"] = json!(Some(tags).filter(|tags| !tags.is_empty()));
        change["category"] = json!(Some(&self.category).filter(|text| !text.is_empty()));
        if !internal {
            let upstream = Some(&self.upstream).filter(|url| !url.is_empty());
            let rules = self.allow.split(['\n', ',']).map(str::trim);
            let rules: Vec<&str> = rules.filter(|rule| !rule.is_empty()).collect();
            change["upstream"] = json!(upstream);
            change["allowUpstream"] = json!(rules);
        }
        Ok(change)
    }
}

/// A setting of a few words as the API writes it.
fn word(setting: &impl serde::Serialize) -> String {
    let written = serde_json::to_value(setting).unwrap_or_default();
    written.as_str().unwrap_or_default().to_owned()
}

pub(super) fn seconds(milliseconds: u64) -> String {
    decimal(milliseconds, 3)
}

pub(super) fn milliseconds(text: &str) -> Option<u64> {
    fixed(text, 3)
}

/// A number of parts, of which `10^digits` are one, as a decimal number.
pub(super) fn decimal(parts: u64, digits: usize) -> String {
    let text = format!("{parts:0>width$}", width = digits + 1);
    let (whole, part) = text.split_at(text.len() - digits);
    let text = format!("{whole}.{part}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The same back, exactly or not at all.
pub(super) fn fixed(text: &str, digits: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !plain(whole) || !plain(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

fn wrong(language: Language, key: &str, label: &str) -> Html {
    let label = language.say(label);
    language.say(key).with("label", label).into()
}

/// How many tools lack a credential.
pub fn lacking_credentials(server: &Server) -> usize {
    let tools = server.tools.values();
    tools.filter(|tool| is_refused(server, &tool.def)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Resilience;
    use crate::mcp::server::{ProbeSettings, ToolsMode};
    use crate::mcp::tool::profile::{Profile, ProfileChoice};

    #[test]
    fn settings_survive_the_form() {
        let settings = ServerSettings {
            access: Access::Open,
            sessions: Some(SessionSettings {
                idle_ms: 1_500,
                sessions_max: 7,
            }),
            legacy_sse: Some(false),
            upstream: Some("https://api.example.com/v1".to_owned()),
            allow_upstream: vec!["10.0.0.0/8".to_owned(), "db.example:80".to_owned()],
            call_timeout_ms: 60_000,
            tools_page_max: 10,
            answer_bytes_max: 32 << 10,
            answer_shapes: indexmap::IndexMap::new(),
            tools: ToolsMode::Auto,
            profile: ProfileChoice::Fixed(Profile::OpenaiStrict),
            tool_tokens_max: 900,
            list_tokens_max: 9_000,
            internal: None,
            category: Some("Commerce".to_owned()),
            tags: Some(vec!["pets".to_owned(), "食品".to_owned()]),
            probe: Some(ProbeSettings {
                operation: crate::openapi::OperationKey("GET /pets".to_owned()),
                arguments: serde_json::Map::from_iter([("limit".to_owned(), json!(1))]),
                every_minutes: 15,
            }),
            call_price_micros: Some(1_250),
            approval_minutes: Some(15),
            approval_webhook: Some("https://hook.example/x".to_owned()),
            resilience: Resilience {
                retries: 4,
                ..Resilience::default()
            },
            ..ServerSettings::default()
        };
        let form = SettingsForm::of(&settings, 3);
        // What the sections change together; none changes what another one does.
        let changes = |internal| {
            let mut all = serde_json::Map::new();
            for section in [
                Section::Calls,
                Section::Price,
                Section::Probe,
                Section::Approvals,
            ] {
                let change = form.change(section, (internal, Language::English)).unwrap();
                for (name, value) in change.as_object().unwrap() {
                    assert_eq!(all.insert(name.clone(), value.clone()), None, "{name}");
                }
            }
            Value::Object(all)
        };
        let mut expected = serde_json::to_value(&settings).unwrap();
        assert_eq!(changes(false), expected);
        for name in ["upstream", "allowUpstream"] {
            expected.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(changes(true), expected);
    }

    #[test]
    fn seconds_are_read_exactly() {
        for (text, expected) in [("30", 30_000), ("0.5", 500), ("1.25", 1_250), ("0.001", 1)] {
            assert_eq!(milliseconds(text), Some(expected));
            assert_eq!(seconds(expected), text);
        }
        for text in [
            "",
            "-1",
            "+1",
            "1.",
            ".5",
            "1e3",
            "0.0001",
            "1.-5",
            "99999999999999999999",
            "x",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    #[test]
    fn dollars_are_read_exactly() {
        for (text, micros) in [("0.0005", 500), ("12", 12_000_000), ("0.000001", 1)] {
            assert_eq!(fixed(text, 6), Some(micros));
            assert_eq!(decimal(micros, 6), text);
        }
        for text in ["0.0000001", "$1", "1,5", ""] {
            assert_eq!(fixed(text, 6), None, "{text}");
        }
    }

    #[test]
    fn refusals_speak_of_labels() {
        let said = |kind, detail: &str| {
            labelled(&Problem::new(kind, detail), Language::English).to_string()
        };
        assert_eq!(
            said(
                ProblemKind::Invalid,
                "`upstream` has to be an http or https URL"
            ),
            "“Address of the API” has to be an http or https URL."
        );
        assert_eq!(
            said(ProblemKind::Unprocessable, "a server has no `url`"),
            "A server has no <code>url</code>."
        );
    }
}
