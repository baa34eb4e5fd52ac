//! Signing in and out.

use axum::extract::{Query, State};
use axum::response::Response;
use http::header::{RETRY_AFTER, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use secrecy::SecretString;

use crate::access::account::{AccountError, SignIn};
use crate::access::password::{LENGTH_MAX, LENGTH_MIN, PasswordError};
use crate::access::session::random;
use crate::extract::{Form, Visitor, cookies, session_cookie};
use crate::market::api::Market;
use crate::market::language::Html;
use crate::market::pages::login::{Login, next_path};
use crate::market::pages::routes::{Fields, frame, notice, stranger, to};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page};
use crate::problem::Problem;

/// What a form about an account may weigh.
pub(super) const FORM_BYTES_MAX: usize = 16 << 10;
const SESSION_SECONDS: i64 = crate::access::session::SESSION.num_seconds();

/// The cookie that forms belong to which are shown to somebody without a session.
const FORM_COOKIE: &str = "causeway_form";
/// The same where the public URL is https: no other site of the domain can set it.
const SECURE_FORM_COOKIE: &str = "__Host-causeway_form";
const FORM_SECONDS: i64 = 24 * 3600;

fn form_cookie(market: &Market) -> &'static str {
    if market.0.parts.address.is_https() {
        SECURE_FORM_COOKIE
    } else {
        FORM_COOKIE
    }
}

/// The token of a form for somebody without a session, and the cookie it belongs to, where there is
/// none yet.
pub(super) fn form_token(market: &Market, visitor: &Visitor) -> (String, Option<String>) {
    let known = cookies(&visitor.headers, form_cookie(market)).next();
    let sessions = market.0.parts.accounts.sessions();
    if let Some(known) = known.filter(|known| known.len() <= 64) {
        return (sessions.form_token(known), None);
    }
    let fresh = random();
    (sessions.form_token(&fresh), Some(fresh))
}

/// Whether a form was shown to this browser.
pub(super) fn is_own_form(market: &Market, visitor: &Visitor, form: &Fields) -> bool {
    let known = cookies(&visitor.headers, form_cookie(market)).next();
    let (Some(known), Some(token)) = (known, form.get("csrf")) else {
        return false;
    };
    let sessions = market.0.parts.accounts.sessions();
    sessions.is_form_token(known, token)
}

/// Adds a cookie of this host to an answer.
pub(super) fn set_cookie(
    market: &Market,
    response: &mut Response,
    (name, value, seconds): (&str, &str, i64),
) {
    let flag = if market.0.parts.address.is_https() {
        "; Secure"
    } else {
        ""
    };
    let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{flag}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// Gives a form to somebody without a session, with the cookie it belongs to.
pub(super) fn with_form_cookie(
    market: &Market,
    mut response: Response,
    fresh: Option<String>,
) -> Response {
    if let Some(fresh) = fresh {
        let cookie = (form_cookie(market), fresh.as_str(), FORM_SECONDS);
        set_cookie(market, &mut response, cookie);
    }
    response
}

/// Somebody is in: the way on, with the cookie of the session. The one before ends.
pub(super) async fn in_with(
    market: &Market,
    visitor: &Visitor,
    (cookie, next): (&str, &str),
) -> Response {
    if let Some(before) = &visitor.visit
        && let Err(error) = market.0.parts.accounts.sign_out(before).await
    {
        tracing::warn!(%error, "the session before could not be ended");
    }
    let mut response = to(next);
    let session = (session_cookie(market), cookie, SESSION_SECONDS);
    set_cookie(market, &mut response, session);
    response
}

/// Nobody is signed in any more.
pub(super) fn out(market: &Market, next: &str) -> Response {
    let mut response = to(next);
    set_cookie(market, &mut response, (session_cookie(market), "", 0));
    response
}

/// What was wrong with something about an account: the status, and a message.
pub(super) fn said(frame: &Frame, error: &AccountError) -> (StatusCode, Html) {
    let kind = match error {
        AccountError::Wrong => {
            return (StatusCode::UNAUTHORIZED, frame.say("account-wrong").into());
        }
        AccountError::Later(seconds) => {
            let message = frame.say("account-later").with("seconds", *seconds);
            return (StatusCode::TOO_MANY_REQUESTS, message.into());
        }
        AccountError::NoLink => {
            return (StatusCode::FORBIDDEN, frame.say("account-no-link").into());
        }
        AccountError::Password(PasswordError::Length) => {
            let message = frame.say("account-password-length");
            let message = message.with("least", LENGTH_MIN).with("most", LENGTH_MAX);
            return (StatusCode::UNPROCESSABLE_ENTITY, message.into());
        }
        AccountError::Password(PasswordError::Plain) => "account-password-plain",
        AccountError::Name => "account-name-rule",
        AccountError::Taken => "account-name-taken",
        AccountError::Nobody => "account-nobody",
        AccountError::Oneself => "account-oneself",
        AccountError::Unconfirmed => "account-unconfirmed",
        AccountError::Password(PasswordError::Busy) => {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                frame.say("account-busy").into(),
            );
        }
        AccountError::Password(PasswordError::Failed)
        | AccountError::Store(_)
        | AccountError::Vault(_) => {
            tracing::error!(%error, "something about an account was not done");
            let message = frame.say("account-failed").into();
            return (StatusCode::INTERNAL_SERVER_ERROR, message);
        }
    };
    (StatusCode::UNPROCESSABLE_ENTITY, frame.say(kind).into())
}

/// Says when to come again, where it is too early.
pub(super) fn when(error: &AccountError, response: &mut Response) {
    if let AccountError::Later(seconds) = error {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(*seconds));
    }
}

/// What the identity provider is called, where there is one.
pub(super) fn label(market: &Market) -> Option<String> {
    let provider = market.0.parts.oidc.as_ref();
    provider.map(|provider| provider.settings().label.clone())
}

/// The page, with what was entered; of what is secret, nothing.
fn login_page(market: &Market, visitor: &Visitor, form: &Fields) -> (Login, Option<String>) {
    let (token, fresh) = form_token(market, visitor);
    let next = next_path(form.get("next").map(String::as_str)).to_owned();
    let login = Login {
        frame: frame(market, visitor, ""),
        token,
        error: None,
        next,
        name: form.get("name").cloned().unwrap_or_default(),
        ticket: None,
        by_key: false,
        models: format!("{}/v1", market.0.parts.address.asked_by(visitor)),
        provider: label(market),
    };
    (login, fresh)
}

pub(super) async fn show(
    State(market): State<Market>,
    visitor: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let (mut login, fresh) = login_page(&market, &visitor, &query);
    login.name.clear();
    login.frame.notice = notice(&query);
    with_form_cookie(&market, page(StatusCode::OK, &login), fresh)
}

pub(super) async fn sign_in(
    State(market): State<Market>,
    visitor: Visitor,
    Form(form): Form<Fields>,
) -> Response {
    if !is_own_form(&market, &visitor, &form) {
        return stranger(&market, &visitor);
    }
    let accounts = &market.0.parts.accounts;
    let text = |name: &str| form.get(name).map_or("", |text| text.trim());
    let from = visitor.origin();
    let (key, ticket) = (text("key"), text("ticket"));
    let done = if !key.is_empty() {
        let right = market.0.parts.keys.is_admin(key);
        accounts.sign_in_with_key(right, from).map(SignIn::Done)
    } else if !ticket.is_empty() {
        let code = (ticket, text("code"));
        accounts
            .sign_in_with_code(code, from)
            .await
            .map(SignIn::Done)
    } else {
        // Spaces around it may be a part of it.
        let password = SecretString::from(form.get("password").cloned().unwrap_or_default());
        accounts.sign_in((text("name"), &password), from).await
    };
    let (mut login, fresh) = login_page(&market, &visitor, &form);
    let status = match done {
        Ok(SignIn::Done(ref cookie)) => {
            return in_with(&market, &visitor, (cookie, &login.next)).await;
        }
        Ok(SignIn::Code(ref ticket)) => {
            login.ticket = Some(ticket.clone());
            StatusCode::OK
        }
        Err(ref error) => {
            let (status, message) = said(&login.frame, error);
            login.error = Some(message);
            login.by_key = !key.is_empty();
            login.ticket = (!ticket.is_empty()).then(|| ticket.to_owned());
            status
        }
    };
    let mut response = with_form_cookie(&market, page(status, &login), fresh);
    if let Err(error) = &done {
        when(error, &mut response);
    }
    response
}

pub(super) async fn sign_out(
    State(market): State<Market>,
    Submitted { visitor, .. }: Submitted<Fields>,
) -> Response {
    if let Some(visit) = &visitor.visit
        && let Err(error) = market.0.parts.accounts.sign_out(visit).await
    {
        let problem = Problem::from(error);
        return crate::market::pages::routes::refused(&market, &visitor, &problem);
    }
    let issuer = visitor
        .visit
        .as_ref()
        .and_then(|visit| visit.issuer.as_ref());
    let provider = market.0.parts.oidc.as_ref();
    if provider.is_some_and(|provider| Some(&provider.settings().issuer) == issuer) {
        // Who vouched for them may do so again at once: that page says how to end that too.
        return out(&market, "/login/oidc?done=signed-out");
    }
    out(&market, "/")
}
