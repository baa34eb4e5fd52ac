//! What an operator says of the identity provider people sign in through. Pure.

use secrecy::SecretString;
use serde_json::{Map, Value};
use url::Url;

use crate::access::issuer::settings::is_private_to_us;
use crate::access::role::Role;
use crate::access::token::values;
use crate::config::{DefaultRole, OidcConfig};

const TEXT_BYTES_MAX: usize = 500;
const LABEL_CHARS_MAX: usize = 60;
const LIST_MAX: usize = 200;
/// Without it, an answer has no ID token (OpenID Connect Core 1.0, section 3.1.2.1).
const OPENID: &str = "openid";

/// Settings that can be used.
#[derive(Clone, Debug)]
pub struct OidcSettings {
    /// As the provider writes it, to the letter.
    pub issuer: String,
    pub client_id: String,
    /// `None`: a public client.
    pub client_secret: Option<SecretString>,
    pub scopes: Vec<String>,
    /// What people call the provider.
    pub label: String,
    pub roles: RoleRule,
    /// In lower case; empty: everybody.
    pub email_domains: Vec<String>,
    pub create_accounts: bool,
}

/// What people may do, after what the provider says of them.
#[derive(Clone, Debug)]
pub struct RoleRule {
    /// A claim's name, or a path with dots; `None`: nothing is asked.
    claim: Option<String>,
    /// From the most to the least.
    values: [(Role, Vec<String>); 3],
    otherwise: Option<Role>,
}

/// Why settings cannot be used. Each names its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcSettingsError {
    #[error(
        "oidc.issuer has to be an https URL without a user, query or fragment (http on this machine only)"
    )]
    Issuer,
    #[error("oidc.client_id is missing, or longer than {TEXT_BYTES_MAX} bytes")]
    ClientId,
    #[error("oidc.label has 1 to {LABEL_CHARS_MAX} characters")]
    Label,
    #[error("oidc.scopes are words of visible ASCII, at most {LIST_MAX}")]
    Scopes,
    #[error("oidc.{0} has at most {LIST_MAX} texts of at most {TEXT_BYTES_MAX} bytes")]
    List(&'static str),
    #[error("oidc.admin_values, publisher_values and member_values say nothing without role_claim")]
    Values,
    #[error("oidc.email_domains are domains, as example.com")]
    Domains,
    #[error("oidc has settings, and no issuer; set oidc.issuer")]
    NoIssuer,
}

impl OidcSettings {
    /// The settings of a configuration, with the client's secret, wherever that came from. `None`: there
    /// is no provider.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn of(
        config: &OidcConfig,
        client_secret: Option<SecretString>,
    ) -> Result<Option<Self>, OidcSettingsError> {
        if config.issuer.is_empty() {
            let alone = config.client_id.is_empty() && client_secret.is_none();
            return if alone {
                Ok(None)
            } else {
                Err(OidcSettingsError::NoIssuer)
            };
        }
        if description_of(&config.issuer).is_none() {
            return Err(OidcSettingsError::Issuer);
        }
        if !(1..=TEXT_BYTES_MAX).contains(&config.client_id.len()) {
            return Err(OidcSettingsError::ClientId);
        }
        let label = config.label.trim();
        if !(1..=LABEL_CHARS_MAX).contains(&label.chars().count()) {
            return Err(OidcSettingsError::Label);
        }
        Ok(Some(Self {
            issuer: config.issuer.clone(),
            client_id: config.client_id.clone(),
            client_secret,
            scopes: scopes(&config.scopes)?,
            label: label.to_owned(),
            roles: RoleRule::of(config)?,
            email_domains: domains(&config.email_domains)?,
            create_accounts: config.create_accounts,
        }))
    }

    /// Whether somebody with this address of e-mail, which the provider verified, is let in.
    pub fn admits(&self, verified_email: Option<&str>) -> bool {
        if self.email_domains.is_empty() {
            return true;
        }
        let domain = verified_email.and_then(|email| email.rsplit_once('@'));
        domain.is_some_and(|(_, domain)| {
            let domain = domain.to_ascii_lowercase();
            self.email_domains.contains(&domain)
        })
    }
}

/// Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4); `None`: it is none that
/// can be trusted.
pub(super) fn description_of(issuer: &str) -> Option<Url> {
    let base = issuer.trim_end_matches('/');
    let url = Url::parse(&format!("{base}/.well-known/openid-configuration")).ok()?;
    let bare = url.query().is_none() && url.fragment().is_none();
    let fits = issuer.len() <= TEXT_BYTES_MAX && bare && is_private_to_us(&url);
    fits.then_some(url)
}

fn scopes(given: &[String]) -> Result<Vec<String>, OidcSettingsError> {
    // RFC 6749 section 3.3.
    let is_word = |word: &String| {
        let visible = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        word.len() <= TEXT_BYTES_MAX && word.bytes().all(visible)
    };
    let given: Vec<String> = given
        .iter()
        .filter(|word| !word.is_empty())
        .cloned()
        .collect();
    if given.len() > LIST_MAX || !given.iter().all(is_word) {
        return Err(OidcSettingsError::Scopes);
    }
    let openid = (!given.iter().any(|word| word == OPENID)).then(|| OPENID.to_owned());
    Ok(openid.into_iter().chain(given).collect())
}

fn domains(given: &[String]) -> Result<Vec<String>, OidcSettingsError> {
    let given = list("email_domains", given)?;
    let given: Vec<String> = given.iter().map(|it| it.to_ascii_lowercase()).collect();
    let is_domain = |text: &String| {
        let letters = |c: char| c.is_alphanumeric() || ".-".contains(c);
        text.chars().all(letters) && !text.starts_with('.')
    };
    if given.iter().all(is_domain) {
        Ok(given)
    } else {
        Err(OidcSettingsError::Domains)
    }
}

/// Texts without those that are empty.
fn list(name: &'static str, given: &[String]) -> Result<Vec<String>, OidcSettingsError> {
    let texts = given.iter().map(|text| text.trim().to_owned());
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    if texts.len() > LIST_MAX || texts.iter().any(|text| text.len() > TEXT_BYTES_MAX) {
        return Err(OidcSettingsError::List(name));
    }
    Ok(texts)
}

impl RoleRule {
    fn of(config: &OidcConfig) -> Result<Self, OidcSettingsError> {
        let claim = config.role_claim.trim();
        let values = [
            (Role::Admin, list("admin_values", &config.admin_values)?),
            (
                Role::Publisher,
                list("publisher_values", &config.publisher_values)?,
            ),
            (Role::Member, list("member_values", &config.member_values)?),
        ];
        if claim.is_empty() && values.iter().any(|(_, values)| !values.is_empty()) {
            return Err(OidcSettingsError::Values);
        }
        if claim.len() > TEXT_BYTES_MAX {
            return Err(OidcSettingsError::List("role_claim"));
        }
        Ok(Self {
            claim: (!claim.is_empty()).then(|| claim.to_owned()),
            values,
            otherwise: match config.default_role {
                DefaultRole::Admin => Some(Role::Admin),
                DefaultRole::Publisher => Some(Role::Publisher),
                DefaultRole::Member => Some(Role::Member),
                DefaultRole::None => None,
            },
        })
    }

    /// What somebody with these claims is: the most that one of their values stands for. `None`: they are
    /// not let in.
    pub fn role(&self, claims: &Map<String, Value>) -> Option<Role> {
        let named = match &self.claim {
            Some(claim) => values(claims, claim),
            None => Vec::new(),
        };
        let mut roles = self.values.iter();
        let found = roles.find(|(_, values)| values.iter().any(|it| named.contains(&it.as_str())));
        found.map(|(role, _)| *role).or(self.otherwise)
    }

    /// Whether the provider says what people may do.
    pub fn is_asked(&self) -> bool {
        self.claim.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Config, Sources};

    /// Settings of the section's lines.
    fn read(lines: &str) -> Result<Option<OidcSettings>, OidcSettingsError> {
        let text = format!("[oidc]\n{lines}");
        let config = Config::load(Sources {
            file: Some(("causeway.toml".into(), text)),
            ..Sources::default()
        });
        let config = config.unwrap().oidc;
        OidcSettings::of(&config, config.client_secret.clone())
    }

    const GOOD: &str = "issuer = \"https://login.example/realms/a\"\nclient_id = \"causeway\"\n";

    fn good(more: &str) -> Result<OidcSettings, OidcSettingsError> {
        read(&format!("{GOOD}{more}")).map(Option::unwrap)
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        use OidcSettingsError as Fault;
        assert!(read("").unwrap().is_none());
        assert!(good("").is_ok());
        for (lines, fault) in [
            ("client_id = \"x\"", Fault::NoIssuer),
            ("issuer = \"http://login.example\"", Fault::Issuer),
            ("issuer = \"https://a:b@login.example\"", Fault::Issuer),
            ("issuer = \"https://login.example?x=1\"", Fault::Issuer),
            ("issuer = \"login.example\"", Fault::Issuer),
            ("issuer = \"https://login.example\"", Fault::ClientId),
        ] {
            assert_eq!(read(lines).err(), Some(fault), "{lines}");
        }
        for (lines, fault) in [
            ("label = \" \"", Fault::Label),
            ("scopes = [\"open id\"]", Fault::Scopes),
            ("admin_values = [\"ops\"]", Fault::Values),
            ("email_domains = [\"a@example.com\"]", Fault::Domains),
        ] {
            assert_eq!(good(lines).err(), Some(fault), "{lines}");
        }
        assert!(read("issuer = \"http://127.0.0.1:9\"\nclient_id = \"x\"").is_ok());
    }

    #[test]
    fn openid_is_always_asked_for() {
        let scopes = |lines| good(lines).unwrap().scopes;
        assert_eq!(scopes(""), ["openid", "profile", "email"]);
        assert_eq!(scopes("scopes = [\"groups\"]"), ["openid", "groups"]);
        assert_eq!(scopes("scopes = [\"\"]"), ["openid"]);
    }

    #[test]
    fn of_several_values_the_greatest_role_counts() {
        let mapped = "role_claim = \"realm_access.roles\"\nadmin_values = [\"ops\"]\n\
                      publisher_values = [\"dev\", \"data\"]\nmember_values = [\"staff\"]\n";
        let of = |more: &str, claims: Value| {
            let settings = good(&format!("{mapped}{more}")).unwrap();
            settings.roles.role(claims.as_object().unwrap())
        };
        let roles = |roles: Value| json!({ "realm_access": { "roles": roles } });
        let none = "default_role = \"none\"";
        for (more, claims, role) in [
            ("", roles(json!(["dev", "ops"])), Some(Role::Admin)),
            ("", roles(json!(["staff", "data"])), Some(Role::Publisher)),
            ("", roles(json!("dev")), Some(Role::Publisher)),
            ("", roles(json!(["OPS"])), Some(Role::Member)),
            ("", json!({ "roles": ["ops"] }), Some(Role::Member)),
            (none, roles(json!(["staff"])), Some(Role::Member)),
            (none, roles(json!([{ "ops": "ops" }, 1])), None),
            (none, json!({}), None),
        ] {
            assert_eq!(of(more, claims.clone()), role, "{more} {claims}");
        }
        let unmapped = good("default_role = \"publisher\"").unwrap();
        assert!(!unmapped.roles.is_asked());
        assert_eq!(unmapped.roles.role(&Map::new()), Some(Role::Publisher));
    }

    #[test]
    fn only_verified_addresses_of_the_domains_are_let_in() {
        let settings = good("email_domains = [\"Example.com\"]").unwrap();
        for (email, admitted) in [
            (Some("ann@example.com"), true),
            (Some("Ann@EXAMPLE.COM"), true),
            (Some("ann@evil.example.com"), false),
            (Some("ann@example.com@evil.example"), false),
            (Some("example.com"), false),
            (None, false),
        ] {
            assert_eq!(settings.admits(email), admitted, "{email:?}");
        }
        assert!(good("").unwrap().admits(None));
    }
}
