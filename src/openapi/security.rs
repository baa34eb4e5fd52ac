//! Security schemes and requirements.
//!
//! A requirement is never dropped: one that names an undefined scheme stays, so that a call which
//! needs it fails closed instead of going out without its credential.

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::openapi::finding::{Code, quoted};
use crate::openapi::pointer::{Located, text};
use crate::openapi::schema::Reading;
use crate::openapi::{Location, SecurityRequirement, SecurityScheme, upconvert_2_0};

impl<'a> Reading<'a> {
    /// The schemes the document defines.
    pub fn security_schemes(&mut self, root: &Located<'a>) -> IndexMap<String, SecurityScheme> {
        let folder = if self.is_2_0() {
            root.get("securityDefinitions")
        } else {
            root.get("components")
                .and_then(|components| components.get("securitySchemes"))
        };
        let mut schemes = IndexMap::new();
        for (name, at) in folder.iter().flat_map(Located::members) {
            let pointer = at.pointer.clone();
            let scheme = self
                .references
                .follow(at)
                .map_err(|fault| format!("the reference {}", fault.reason()))
                .and_then(|followed| match followed.at.object() {
                    Some(source) if self.is_2_0() => {
                        scheme(&upconvert_2_0::security_scheme(source))
                    }
                    _ => scheme(followed.at.value),
                });
            match scheme {
                Ok(scheme) => {
                    schemes.insert(name.to_owned(), scheme);
                }
                Err(message) => {
                    self.findings
                        .add(Code::SecuritySchemeInvalid, pointer, message);
                }
            }
        }
        schemes
    }

    /// The `security` of the document or of an operation, if it is stated. An empty list means that
    /// no credential is needed.
    pub fn security(
        &mut self,
        at: &Located<'a>,
        schemes: &IndexMap<String, SecurityScheme>,
    ) -> Option<Vec<SecurityRequirement>> {
        let list = at.get("security").filter(|list| !list.value.is_null())?;
        if !list.value.is_array() {
            let message = "`security` is not a list";
            self.findings
                .add(Code::SecurityInvalid, list.pointer.clone(), message);
            // A single requirement without the list around it can mean only one thing.
            return list
                .value
                .is_object()
                .then(|| vec![self.requirement(&list, schemes)]);
        }
        let mut alternatives = Vec::new();
        for item in list.items() {
            if item.value.is_object() {
                alternatives.push(self.requirement(&item, schemes));
            } else {
                let message = "a security requirement is an object";
                self.findings
                    .add(Code::SecurityInvalid, item.pointer, message);
            }
        }
        // Every member was unreadable: not the same as "nothing is needed".
        let unreadable = alternatives.is_empty() && list.items().next().is_some();
        (!unreadable).then_some(alternatives)
    }

    fn requirement(
        &mut self,
        at: &Located<'a>,
        schemes: &IndexMap<String, SecurityScheme>,
    ) -> SecurityRequirement {
        let mut needed = IndexMap::new();
        for (name, scopes) in at.members() {
            if !schemes.contains_key(name) {
                let message = format!("{} is not defined", quoted(name));
                self.findings.add(
                    Code::SecuritySchemeUndefined,
                    scopes.pointer.clone(),
                    message,
                );
            }
            let scopes = scopes.items().filter_map(|scope| text(scope.value));
            needed.insert(name.to_owned(), scopes.collect());
        }
        SecurityRequirement(needed)
    }
}

fn scheme(source: &Value) -> Result<SecurityScheme, String> {
    let word = |key: &str| source.get(key).and_then(text);
    let kind = word("type").ok_or("the scheme has no `type`")?;
    match kind.to_ascii_lowercase().as_str() {
        "apikey" => {
            let name = word("name").filter(|name| !name.is_empty());
            let name = name.ok_or("an apiKey scheme needs a `name`")?;
            let location = match word("in").unwrap_or_default().as_str() {
                "header" => Location::Header,
                "query" => Location::Query,
                "cookie" => Location::Cookie,
                other => return Err(format!("{} is no place for a key", quoted(other))),
            };
            if location == Location::Header && http::HeaderName::try_from(&name).is_err() {
                return Err(format!("{} is no header name", quoted(&name)));
            }
            Ok(SecurityScheme::ApiKey { name, location })
        }
        "http" => match word("scheme").unwrap_or_default().to_ascii_lowercase() {
            scheme if scheme == "basic" => Ok(SecurityScheme::Basic),
            scheme if scheme == "bearer" => Ok(SecurityScheme::Bearer),
            scheme if scheme.is_empty() => Err("an http scheme needs a `scheme`".to_owned()),
            scheme => Ok(SecurityScheme::Http { scheme }),
        },
        // Common slips: the HTTP scheme where the type belongs.
        "basic" => Ok(SecurityScheme::Basic),
        "bearer" => Ok(SecurityScheme::Bearer),
        "oauth2" => Ok(SecurityScheme::OAuth2 {
            flows: source.get("flows").cloned().unwrap_or_else(|| json!({})),
        }),
        "openidconnect" => word("openIdConnectUrl")
            .map(|url| SecurityScheme::OpenIdConnect { url })
            .ok_or_else(|| "an openIdConnect scheme needs an `openIdConnectUrl`".to_owned()),
        "mutualtls" => Ok(SecurityScheme::MutualTls),
        other => Err(format!("{} is no type of security scheme", quoted(other))),
    }
}
