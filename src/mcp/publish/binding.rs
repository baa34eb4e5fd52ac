//! Where a credential that was entered may go, and how it is stored: sealed, and bound to that.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::access::vault::{RowIdentity, VaultError};
use crate::credential::Secret;
use crate::live::loader::SealedSecret;
use crate::mcp::plan::{self, Destination};
use crate::mcp::publish::{PublishError, Publisher};
use crate::mcp::tool::ToolDef;
use crate::openapi::Api;
use crate::store::audit::NewAudit;
use crate::store::credentials::{CredentialRow, NewCredential};
use crate::types::{CredentialId, OrganizationId, ServerId};

/// Where a credential may go, and where the tools that use it go beyond that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    pub scheme: String,
    pub origins: BTreeSet<String>,
    pub not_approved: BTreeSet<String>,
}

/// The origin of the document's server, or of the owner's upstream in its place.
pub fn home(api: &Api, to: Destination<'_>) -> Option<String> {
    let url = plan::server_url(&api.servers, to).ok()?;
    Some(url.origin().ascii_serialization())
}

/// Where the tools that may use a scheme's credential go.
pub fn origins<'t>(
    scheme: &str,
    tools: impl IntoIterator<Item = &'t ToolDef>,
    to: Destination<'_>,
) -> BTreeSet<String> {
    let uses = |tool: &&ToolDef| {
        let mut alternatives = tool.binding.security.iter();
        alternatives.any(|alternative| alternative.0.contains_key(scheme))
    };
    tools
        .into_iter()
        .filter(uses)
        .filter_map(|tool| plan::base_url(tool, to).ok())
        .map(|url| url.origin().ascii_serialization())
        .collect()
}

/// Seals a credential and stores it, bound to `origins`.
pub async fn store_credential(
    cx: &Publisher,
    (server, scheme): (ServerId, &str),
    (secret, origins): (&Secret, &BTreeSet<String>),
    act: &NewAudit,
) -> Result<(), PublishError> {
    let owner = (act.organization, server);
    let new = seal(cx, owner, scheme, secret, origins)?;
    Ok(cx.store.put_credential(new, act, cx.clock.now()).await?)
}

/// A credential as it is stored: sealed, and bound to `origins`.
pub(crate) fn seal(
    cx: &Publisher,
    (organization, server): (OrganizationId, ServerId),
    scheme: &str,
    secret: &Secret,
    origins: &BTreeSet<String>,
) -> Result<NewCredential, PublishError> {
    let internal = |error: serde_json::Error| PublishError::Internal(error.into());
    let id = CredentialId::generate();
    let plain = match secret {
        Secret::Token(token) => SealedSecret::Token {
            value: token.expose_secret().to_owned(),
        },
        Secret::Basic { user, password } => SealedSecret::Basic {
            user: user.clone(),
            password: password.expose_secret().to_owned(),
        },
        Secret::Client(client) => SealedSecret::Client {
            registration: Box::new(client.registration.clone()),
        },
        Secret::Identity(identity) => SealedSecret::Identity {
            pem: identity.expose_pem().to_owned(),
        },
        Secret::EachUser(_) => {
            let what = "what each user has is not stored as the server's";
            return Err(PublishError::Internal(what.into()));
        }
    };
    let token_origins = match secret {
        Secret::Client(client) => Some(serde_json::to_string(&client.origins).map_err(internal)?),
        Secret::Token(_) | Secret::Basic { .. } | Secret::Identity(_) | Secret::EachUser(_) => None,
    };
    let plain = zeroize::Zeroizing::new(serde_json::to_vec(&plain).map_err(internal)?);
    let sealed = cx
        .vault
        .seal(
            &plain,
            &RowIdentity {
                organization,
                row: id.0,
                subject: None,
            },
        )
        .map_err(|error: VaultError| PublishError::Internal(error.into()))?;
    Ok(NewCredential {
        id,
        organization,
        server,
        scheme: scheme.to_owned(),
        subject: None,
        key_id: sealed.key_id,
        sealed: sealed.bytes,
        origins: serde_json::to_string(origins).map_err(internal)?,
        token_origins,
    })
}

/// Where the shared credentials of a server may go now, by scheme.
pub(crate) async fn approved(
    cx: &Publisher,
    server: ServerId,
) -> Result<HashMap<String, BTreeSet<String>>, PublishError> {
    let rows = cx.store.shared_credentials(server).await?;
    let read = |row: CredentialRow| {
        let origins = serde_json::from_str(&row.origins).unwrap_or_default();
        (row.scheme, origins)
    };
    Ok(rows.into_iter().map(read).collect())
}

/// The credentials that were given, each as its scheme needs it.
pub(crate) fn secrets(
    api: &Api,
    given: &[(String, String)],
    now: DateTime<Utc>,
) -> Result<Vec<(String, Secret)>, PublishError> {
    given
        .iter()
        .map(|(scheme, text)| {
            let found =
                api.security_schemes
                    .get(scheme)
                    .ok_or_else(|| PublishError::UnknownScheme {
                        known: known(api.security_schemes.keys()),
                    })?;
            let secret = Secret::usable_for(found, text, now).map_err(|source| {
                PublishError::Credential {
                    scheme: scheme.clone(),
                    source,
                }
            })?;
            Ok((scheme.clone(), secret))
        })
        .collect()
}

fn known<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<&str> = names.map(String::as_str).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
