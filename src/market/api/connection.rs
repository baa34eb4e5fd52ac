//! How a server's requests reach its API: checked before it is stored, so that what is stored works.

use chrono::{DateTime, Utc};

use crate::access::person::Person;
use crate::access::role::Action;
use crate::credential::pass;
use crate::egress::{Authorities, Proxy};
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::settings::ServerEdit;
use crate::mcp::server::{Provider, ServerSettings};
use crate::openapi::SecurityScheme;
use crate::problem::{Problem, ProblemKind};

/// Longer names are no names of schemes.
const SCHEME_BYTES_MAX: usize = 128;

/// Makes the changes that are about connections and headers.
pub(super) fn edit(
    settings: &mut ServerSettings,
    change: &ServerEdit,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    if let Some(scheme) = &change.client_certificate {
        if scheme.as_ref().is_some_and(|name| !is_scheme_name(name)) {
            return Err(invalid(
                "clientCertificate",
                "it is the name of a security scheme: 1 to 128 letters, digits, dots, hyphens and \
                 underscores",
            ));
        }
        settings.client_certificate.clone_from(scheme);
    }
    if let Some(pem) = &change.certificate_authorities {
        if let Some(pem) = pem {
            Authorities::parse(pem)
                .and_then(|authorities| authorities.check_at(now))
                .map_err(|error| invalid("certificateAuthorities", &error.to_string()))?;
        }
        settings.certificate_authorities.clone_from(pem);
    }
    if let Some(proxy) = &change.proxy {
        let proxy: Option<Proxy> = proxy
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error: crate::egress::ProxyError| invalid("proxy", &error.to_string()))?;
        settings.proxy = proxy.map(|proxy| proxy.to_string());
    }
    if let Some(mappings) = &change.pass_through {
        let mappings = mappings.as_deref().unwrap_or_default();
        pass::check(mappings).map_err(|error| invalid("passThrough", &error.to_string()))?;
        settings.pass_through = mappings.to_vec();
    }
    Ok(())
}

/// A proxy and whom it is trusted by see everything that is sent, also the credentials of users and of owners
/// before: only who may open networks sets them. What is set may be sent again and taken away.
pub(super) fn may_lead_elsewhere(
    person: &Person,
    settings: &ServerSettings,
    change: &ServerEdit,
) -> Result<(), Problem> {
    if person.may_at_all(Action::OpenNetwork) {
        return Ok(());
    }
    for (name, wanted, set) in [
        ("proxy", &change.proxy, &settings.proxy),
        (
            "certificateAuthorities",
            &change.certificate_authorities,
            &settings.certificate_authorities,
        ),
    ] {
        if let Some(Some(wanted)) = wanted
            && Some(wanted) != set.as_ref()
        {
            let detail = format!("`{name}`: only admins set it");
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
    }
    Ok(())
}

/// A component's name (OpenAPI 3.1 section 4.8.7).
fn is_scheme_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= SCHEME_BYTES_MAX && name.bytes().all(plain)
}

/// A name that the document has for another kind of credential cannot be one for a certificate.
pub(super) async fn check_scheme(
    market: &Market,
    entry: &Entry,
    scheme: &str,
) -> Result<(), Problem> {
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let Provider::Api(api) = &server.provider else {
        return Ok(());
    };
    match api.schemes.get(scheme) {
        None | Some(SecurityScheme::MutualTls) => Ok(()),
        Some(_) => Err(invalid(
            "clientCertificate",
            "the document has a security scheme of that name that is no mutualTLS; choose another name",
        )),
    }
}

fn invalid(field: &str, reason: &str) -> Problem {
    Problem::new(ProblemKind::Invalid, format!("`{field}`: {reason}"))
}
