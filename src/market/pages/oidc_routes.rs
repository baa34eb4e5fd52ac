//! Signing in through an identity provider, and linking an account with what it says.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;

use crate::access::account::AccountError;
use crate::access::account::identity::IdentityError;
use crate::access::oidc::description::DescriptionError;
use crate::access::oidc::id_token::IdTokenFault;
use crate::access::oidc::{LASTS, OidcError, Pending, Provider, Returned, Wanted};
use crate::access::session::random;
use crate::access::token::TokenFault;
use crate::extract::{Form, Visitor, cookies};
use crate::market::api::Market;
use crate::market::language::{Html, Language};
use crate::market::pages::login::next_path;
use crate::market::pages::oidc::{GoingOn, NotSignedIn, SignInThrough};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, failure, frame, notice, stranger, to, writer};
use crate::market::pages::sign_in_routes::{
    form_token, in_with, is_own_form, said, set_cookie, when, with_form_cookie,
};
use crate::types::UserId;

const CALLBACK: &str = "/login/oidc/callback";
/// The page of one's account, after an identity was linked.
const LINKED: &str = "/account?done=linked";
/// Longer paths are not gone back to.
const NEXT_BYTES_MAX: usize = 2 << 10;

/// What a browser keeps until it is back. The second is where the public URL is https: no other site of
/// the domain can set it.
const COOKIE: &str = "causeway_oidc";
const SECURE_COOKIE: &str = "__Host-causeway_oidc";
/// Of what [`random`] makes.
const COOKIE_LENGTH: usize = 32;

/// Why nobody was signed in, or nothing linked.
enum Why {
    Provider(OidcError),
    Identity(IdentityError),
    Account(AccountError),
}

impl From<OidcError> for Why {
    fn from(error: OidcError) -> Self {
        Self::Provider(error)
    }
}

impl From<IdentityError> for Why {
    fn from(error: IdentityError) -> Self {
        Self::Identity(error)
    }
}

impl From<AccountError> for Why {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

fn cookie_name(market: &Market) -> &'static str {
    if market.0.parts.address.is_https() {
        SECURE_COOKIE
    } else {
        COOKIE
    }
}

/// The provider, or the answer that there is none.
fn provider<'m>(market: &'m Market, visitor: &Visitor) -> Result<&'m Provider, Box<Response>> {
    market.0.parts.oidc.as_ref().ok_or_else(|| {
        let message = Language::of(visitor).say("oidc-none");
        Box::new(failure(market, visitor, StatusCode::NOT_FOUND, message))
    })
}

pub(super) async fn show(
    State(market): State<Market>,
    visitor: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let provider = match provider(&market, &visitor) {
        Ok(provider) => provider,
        Err(response) => return *response,
    };
    let (token, fresh) = form_token(&market, &visitor);
    let mut frame = frame(&market, &visitor, "");
    frame.notice = notice(&query);
    let out = match frame.notice {
        Some("done-signed-out") => provider.end_session().await,
        _ => None,
    };
    let template = SignInThrough {
        frame,
        label: provider.settings().label.clone(),
        token,
        next: next_path(query.get("next").map(String::as_str)).to_owned(),
        out: out.map(String::from),
    };
    with_form_cookie(&market, page(StatusCode::OK, &template), fresh)
}

/// Begins: for somebody who signs in, or (`do=link`) for somebody who is signed in and links an identity.
pub(super) async fn begin(
    State(market): State<Market>,
    visitor: Visitor,
    Form(form): Form<Fields>,
) -> Response {
    let user = match beginner(&market, &visitor, &form) {
        Ok(user) => user,
        Err(response) => return *response,
    };
    let provider = match provider(&market, &visitor) {
        Ok(provider) => provider,
        Err(response) => return *response,
    };
    let kept = kept(&market, &visitor).next().map(str::to_owned);
    let browser = kept.unwrap_or_else(random);
    let next = next_path(form.get("next").map(String::as_str));
    let wanted = Wanted {
        browser: &browser,
        address: &visitor.address,
        redirect_uri: &format!("{}{CALLBACK}", market.0.parts.address.asked_by(&visitor)),
        next: Some(next)
            .filter(|next| next.len() <= NEXT_BYTES_MAX)
            .unwrap_or("/"),
        user,
    };
    let url = match provider.begin(&wanted).await {
        Ok(url) => url,
        Err(error) => {
            return failed(
                (&market, &visitor),
                provider,
                (error.into(), user.is_some()),
            );
        }
    };
    let template = GoingOn {
        frame: frame(&market, &visitor, ""),
        label: provider.settings().label.clone(),
        host: url.origin().ascii_serialization(),
        url: url.into(),
    };
    let mut response = page(StatusCode::OK, &template);
    let cookie = (cookie_name(&market), browser.as_str(), LASTS.num_seconds());
    set_cookie(&market, &mut response, cookie);
    response
}

/// Who links an identity; `None`: somebody signs in. Either way it is a form that was shown to them.
fn beginner(
    market: &Market,
    visitor: &Visitor,
    form: &Fields,
) -> Result<Option<UserId>, Box<Response>> {
    if form.get("do").is_none_or(|what| what != "link") {
        let own = is_own_form(market, visitor, form);
        return if own {
            Ok(None)
        } else {
            Err(Box::new(stranger(market, visitor)))
        };
    }
    let person = writer(market, visitor, form.get("csrf").map(String::as_str))?;
    // The admin key has no account.
    let user = person.user().ok_or_else(|| Box::new(to("/account")))?;
    Ok(Some(user))
}

/// What this browser kept of sign-ins that it began.
fn kept<'v>(market: &Market, visitor: &'v Visitor) -> impl Iterator<Item = &'v str> {
    let values = cookies(&visitor.headers, cookie_name(market));
    values.filter(|value| value.len() == COOKIE_LENGTH)
}

pub(super) async fn come_back(
    State(market): State<Market>,
    visitor: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let provider = match provider(&market, &visitor) {
        Ok(provider) => provider,
        Err(response) => return *response,
    };
    let at = (&market, &visitor);
    let state = query.get("state").map_or("", String::as_str);
    let pending = match provider.take(state, kept(&market, &visitor)).await {
        Ok(pending) => pending,
        Err(error) => return failed(at, provider, (error.into(), false)),
    };
    match complete(at, (provider, &pending), &query).await {
        Ok(Some(cookie)) => in_with(&market, &visitor, (&cookie, &pending.next)).await,
        Ok(None) => to(LINKED),
        Err(why) => failed(at, provider, (why, pending.user.is_some())),
    }
}

/// Ends what was begun: the cookie of a session, or nothing where an identity was linked.
async fn complete(
    (market, visitor): (&Market, &Visitor),
    (provider, pending): (&Provider, &Pending),
    query: &Fields,
) -> Result<Option<String>, Why> {
    let accounts = &market.0.parts.accounts;
    let linking = visitor
        .person()
        .filter(|person| person.user() == pending.user);
    if pending.user.is_some() && linking.is_none() {
        // Whoever began it is not signed in here any more.
        return Err(OidcError::State.into());
    }
    let attempt = accounts.admit_stranger(visitor.origin())?;
    let text = |name: &str| query.get(name).map(String::as_str);
    let returned = Returned {
        code: text("code"),
        error: text("error"),
        issuer: text("iss"),
    };
    let identity = provider.finish(pending, returned).await?;
    let settings = provider.settings();
    let done = match (pending.user, linking) {
        (Some(_), Some(person)) => {
            accounts.link_identity(person, settings, &identity).await?;
            None
        }
        _ => {
            let begun = accounts.sign_in_as(settings, &identity, visitor.origin());
            Some(begun.await?)
        }
    };
    accounts.went_well(&attempt);
    Ok(done)
}

/// The page that says why, in the language of whoever reads it, and what is to be done.
fn failed(
    (market, visitor): (&Market, &Visitor),
    provider: &Provider,
    (why, linking): (Why, bool),
) -> Response {
    let frame = frame(market, visitor, "");
    let label = provider.settings().label.as_str();
    let language = frame.language;
    let (status, what, advice) = match &why {
        Why::Account(error) => {
            let (status, message) = said(&frame, error);
            (status, message, Html::default())
        }
        Why::Identity(error) => of_identity(error, (language, label)),
        Why::Provider(error) => of_provider(error, (language, provider, label)),
    };
    let template = NotSignedIn {
        label: label.to_owned(),
        frame,
        what,
        advice,
        again: if linking { "/account" } else { "/login" },
    };
    let mut response = page(status, &template);
    if let Why::Account(error) = &why {
        when(error, &mut response);
    }
    response
}

fn of_identity(
    error: &IdentityError,
    (language, label): (Language, &str),
) -> (StatusCode, Html, Html) {
    let (what, advice) = match error {
        IdentityError::Domain => ("oidc-domain", "oidc-domain-advice"),
        IdentityError::Role => ("oidc-role", "oidc-role-advice"),
        IdentityError::Unknown => ("oidc-unknown", "oidc-unknown-advice"),
        IdentityError::Disabled => ("oidc-disabled", "oidc-disabled-advice"),
        IdentityError::Taken => ("oidc-taken", "oidc-taken-advice"),
        IdentityError::Another => ("oidc-another", "oidc-taken-advice"),
        IdentityError::LastWay => ("oidc-last-way", "oidc-last-way-advice"),
        IdentityError::Nobody => ("account-nobody", "oidc-taken-advice"),
        IdentityError::Store(error) => {
            tracing::error!(%error, "somebody a provider vouches for was not signed in");
            let message = language.say("account-failed").into();
            return (StatusCode::INTERNAL_SERVER_ERROR, message, Html::default());
        }
    };
    let say = |key| Html::from(language.say(key).with("label", label));
    (StatusCode::FORBIDDEN, say(what), say(advice))
}

fn of_provider(
    error: &OidcError,
    (language, provider, label): (Language, &Provider, &str),
) -> (StatusCode, Html, Html) {
    tracing::warn!(%error, "nobody was signed in through the identity provider");
    let gateway = StatusCode::BAD_GATEWAY;
    let (status, what, advice, why) = match error {
        OidcError::Description(error) => {
            let (advice, why) = of_description(error);
            (gateway, "oidc-description", advice, why)
        }
        OidcError::Unreachable(why) => (
            gateway,
            "oidc-unreachable",
            "oidc-unreachable-advice",
            why.clone(),
        ),
        OidcError::Refused(code) => (gateway, "oidc-refused", of_refusal(code), code.clone()),
        OidcError::NoToken => (
            gateway,
            "oidc-no-token",
            "oidc-no-token-advice",
            String::new(),
        ),
        OidcError::Token(fault) => (gateway, "oidc-token", of_fault(*fault), String::new()),
        OidcError::State => (
            StatusCode::FORBIDDEN,
            "oidc-state",
            "oidc-state-advice",
            String::new(),
        ),
        OidcError::Issuer => (
            StatusCode::FORBIDDEN,
            "oidc-issuer",
            "oidc-issuer-advice",
            String::new(),
        ),
        OidcError::Denied(code) => (
            StatusCode::FORBIDDEN,
            "oidc-denied",
            "oidc-denied-advice",
            code.clone(),
        ),
        OidcError::NoCode => (
            StatusCode::FORBIDDEN,
            "oidc-no-code",
            "oidc-no-token-advice",
            String::new(),
        ),
        OidcError::Store(error) => {
            tracing::error!(%error, "a sign-in through the identity provider cannot be kept");
            let message = language.say("account-failed").into();
            return (StatusCode::INTERNAL_SERVER_ERROR, message, Html::default());
        }
    };
    let issuer = provider.settings().issuer.as_str();
    let say = |key| {
        let said = language.say(key).with("label", label);
        Html::from(said.with("why", why.as_str()).with("issuer", issuer))
    };
    (status, say(what), say(advice))
}

/// What is to be done about a configuration that cannot be used, and more about it.
fn of_description(error: &DescriptionError) -> (&'static str, String) {
    match error {
        DescriptionError::Unreachable(why) => ("oidc-description-unreachable", why.clone()),
        DescriptionError::NotOne => ("oidc-description-not-one", String::new()),
        DescriptionError::Issuer => ("oidc-description-issuer", String::new()),
        DescriptionError::Endpoint(name) => ("oidc-description-endpoint", (*name).to_owned()),
        DescriptionError::Pkce => ("oidc-description-pkce", String::new()),
        DescriptionError::Algorithms => ("oidc-description-algorithms", String::new()),
    }
}

/// RFC 6749 section 5.2.
fn of_refusal(code: &str) -> &'static str {
    match code {
        "invalid_client" | "unauthorized_client" => "oidc-refused-client",
        "invalid_grant" => "oidc-refused-code",
        _ => "oidc-refused-advice",
    }
}

fn of_fault(fault: IdTokenFault) -> &'static str {
    match fault {
        IdTokenFault::Token(TokenFault::Issuer) => "oidc-token-issuer",
        IdTokenFault::Token(TokenFault::Audience) | IdTokenFault::Party => "oidc-token-audience",
        IdTokenFault::Token(TokenFault::Expired | TokenFault::Early) | IdTokenFault::Issued => {
            "oidc-token-clock"
        }
        IdTokenFault::Token(TokenFault::Algorithm | TokenFault::Key | TokenFault::Signature) => {
            "oidc-token-keys"
        }
        IdTokenFault::Token(TokenFault::Malformed | TokenFault::Claims) | IdTokenFault::Kind => {
            "oidc-token-form"
        }
        IdTokenFault::AccessToken => "oidc-token-access",
        IdTokenFault::Nonce => "oidc-token-nonce",
    }
}
