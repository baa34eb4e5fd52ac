//! The pages where a password is chosen with a link: the first admin's, an invitation's, a reset's.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use secrecy::SecretString;

use crate::access::account::AccountError;
use crate::extract::{Form, Visitor};
use crate::market::api::Market;
use crate::market::pages::account::{ChoosePassword, Purpose};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, stranger, to};
use crate::market::pages::sign_in_routes::{
    form_token, in_with, is_own_form, said, with_form_cookie,
};
use crate::store::users::LinkKind;

/// Which link leads there; `None`: the one that makes the first admin.
fn kind(purpose: Purpose) -> Option<LinkKind> {
    match purpose {
        Purpose::Setup => None,
        Purpose::Invite => Some(LinkKind::Invite),
        Purpose::Reset => Some(LinkKind::Reset),
    }
}

/// Whose the password is that a link lets choose.
async fn whose(market: &Market, purpose: Purpose, token: &str) -> Result<String, AccountError> {
    let accounts = &market.0.parts.accounts;
    match kind(purpose) {
        Some(kind) => Ok(accounts.of_link(kind, token).await?.name),
        None if accounts.is_setup(token).await? => Ok(String::new()),
        None => Err(AccountError::NoLink),
    }
}

/// The page, with what was entered but the password.
async fn form_page(
    (market, visitor): (&Market, &Visitor),
    purpose: Purpose,
    fields: &Fields,
    error: Option<&AccountError>,
) -> Response {
    let token = fields.get("token").map_or("", String::as_str);
    let whose = whose(market, purpose, token).await;
    let (form_token, fresh) = form_token(market, visitor);
    let frame = frame(market, visitor, "");
    let wrong = whose.as_ref().err().or(error);
    let (status, error) = match wrong.map(|error| said(&frame, error)) {
        Some((status, message)) => (status, Some(message)),
        None => (StatusCode::OK, None),
    };
    let entered = fields.get("name").cloned().unwrap_or_default();
    let template = ChoosePassword {
        frame,
        form_token,
        error,
        purpose,
        link: whose.is_ok().then(|| token.to_owned()),
        name: whose
            .ok()
            .filter(|name| !name.is_empty())
            .unwrap_or(entered),
    };
    with_form_cookie(market, page(status, &template), fresh)
}

/// Stores what was chosen.
async fn choose(
    (market, visitor): (&Market, &Visitor),
    purpose: Purpose,
    form: &Fields,
) -> Response {
    if !is_own_form(market, visitor, form) {
        return stranger(market, visitor);
    }
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let password = SecretString::from(text("password"));
    let accounts = &market.0.parts.accounts;
    let token = text("token");
    let done = match kind(purpose) {
        Some(kind) => {
            let chosen = accounts.choose_password((kind, token), &password);
            chosen.await.map(|()| None)
        }
        None => {
            let first = (text("name"), &password);
            let user_agent = visitor.origin().user_agent;
            accounts.set_up(token, first, user_agent).await.map(Some)
        }
    };
    match done {
        Ok(Some(cookie)) => in_with(market, visitor, (&cookie, "/")).await,
        Ok(None) => to("/login?done=made"),
        Err(error) => form_page((market, visitor), purpose, form, Some(&error)).await,
    }
}

macro_rules! pages {
    ($($show:ident, $choose:ident: $purpose:expr;)+) => {$(
        pub(super) async fn $show(
            State(market): State<Market>,
            visitor: Visitor,
            Query(query): Query<Fields>,
        ) -> Response {
            form_page((&market, &visitor), $purpose, &query, None).await
        }

        pub(super) async fn $choose(
            State(market): State<Market>,
            visitor: Visitor,
            Form(form): Form<Fields>,
        ) -> Response {
            choose((&market, &visitor), $purpose, &form).await
        }
    )+};
}

pages! {
    show_setup, set_up: Purpose::Setup;
    show_invite, invite: Purpose::Invite;
    show_reset, reset: Purpose::Reset;
}
