//! One's own account: the password, one-time codes, and the browsers that are signed in.

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::DateTime;
use http::StatusCode;
use qrcode::QrCode;
use qrcode::render::svg;
use secrecy::SecretString;

use crate::access::account::{AccountError, Visit};
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::pages::account::{Account, Codes, IdentityRow, SessionRow};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, failure, frame, notice, to};
use crate::market::pages::sign_in_routes::{in_with, label, out, said, when};
use crate::market::pages::submitted::Submitted;
use crate::store::identities;
use crate::store::users::UserRow;
use crate::types::UserId;

/// Pixels of the side of a picture for a device.
const PICTURE_SIDE: u32 = 200;

/// What came of a form.
enum Done {
    /// The page again, which says this was done.
    Said(&'static str),
    /// Another session takes the place of this one.
    In(String),
    Out,
    /// A device is told the secret.
    Offered,
    /// Recovery codes, shown once.
    Codes(Vec<String>),
}

pub(super) async fn show(
    State(market): State<Market>,
    visitor: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let at = (&market, &visitor);
    match own(at) {
        Ok((visit, user)) => account_page(at, (visit, user), None, notice(&query)).await,
        Err(response) => *response,
    }
}

/// Whose account is looked at. The admin key has none.
fn own<'v>(
    (market, visitor): (&'v Market, &'v Visitor),
) -> Result<(&'v Visit, UserId), Box<Response>> {
    let Some(visit) = &visitor.visit else {
        return Err(Box::new(to("/login?next=/account")));
    };
    match visit.person.user() {
        Some(user) => Ok((visit, user)),
        None => {
            let message = frame(market, visitor, "").say("account-of-key");
            let status = StatusCode::NOT_FOUND;
            Err(Box::new(failure(market, visitor, status, message)))
        }
    }
}

async fn account_page(
    (market, visitor): (&Market, &Visitor),
    whose: (&Visit, UserId),
    done: Option<Result<Done, AccountError>>,
    notice: Option<&'static str>,
) -> Response {
    let mut frame = frame(market, visitor, "account");
    frame.notice = notice;
    let wrong = done.as_ref().and_then(|done| done.as_ref().err());
    let (mut status, mut error) = (StatusCode::OK, None);
    if let Some(wrong) = wrong {
        let (its, message) = said(&frame, wrong);
        (status, error) = (its, Some(message));
    }
    let done = match &done {
        Some(Ok(done)) => Some(done),
        _ => None,
    };
    let read = async {
        let row = market.0.parts.accounts.own(whose.1).await?;
        let codes = codes(market, &row, done, wrong.is_some()).await?;
        let identities = market.0.parts.accounts.identities_of(whose.1).await;
        let identities = identities.map_err(AccountError::Store)?;
        let sessions = sessions(market, whose).await?;
        Ok::<_, AccountError>((row, codes, identities, sessions))
    };
    let (row, codes, identities, sessions) = match read.await {
        Ok(read) => read,
        Err(error) => {
            let (status, message) = said(&frame, &error);
            return failure(market, visitor, status, message);
        }
    };
    let template = Account {
        frame,
        error,
        role: whose.0.person.role.word().to_owned(),
        has_password: row.password_hash.is_some(),
        codes,
        linked: is_linked(market, &identities),
        identities: identities.into_iter().map(identity).collect(),
        provider: label(market),
        sessions,
    };
    let mut response = page(status, &template);
    if let Some(wrong) = wrong {
        when(wrong, &mut response);
    }
    response
}

/// Whether one of them is of the provider there is.
fn is_linked(market: &Market, identities: &[identities::IdentityRow]) -> bool {
    let provider = market.0.parts.oidc.as_ref();
    provider.is_some_and(|provider| {
        let issuer = &provider.settings().issuer;
        identities.iter().any(|row| row.issuer == *issuer)
    })
}

fn identity(row: identities::IdentityRow) -> IdentityRow {
    let at = DateTime::from_timestamp_micros(row.created_at);
    IdentityRow {
        id: row.id.to_string(),
        shown: row.shown,
        issuer: row.issuer,
        since: at
            .map(|at| at.format("%Y-%m-%d").to_string())
            .unwrap_or_default(),
    }
}

async fn codes(
    market: &Market,
    row: &UserRow,
    done: Option<&Done>,
    again: bool,
) -> Result<Codes, AccountError> {
    let accounts = &market.0.parts.accounts;
    let user = UserId(row.id);
    if row.totp_step.is_some() {
        let fresh = match done {
            Some(Done::Codes(codes)) => codes.clone(),
            _ => Vec::new(),
        };
        let recovery_left = accounts.recovery_codes_left(user).await?;
        return Ok(Codes::On {
            recovery_left,
            fresh,
        });
    }
    // Shown when it is asked for, and again when the first code was wrong.
    let wanted = matches!(done, Some(Done::Offered)) || again && row.totp_sealed.is_some();
    if !wanted {
        return Ok(Codes::Off);
    }
    let offer = accounts.offer_codes(user).await?;
    Ok(Codes::Offered {
        picture: picture(&offer.uri),
        secret: offer.secret.to_string(),
        uri: offer.uri.to_string(),
    })
}

/// A text as a picture that a device reads; nothing where it is too long for one.
fn picture(text: &str) -> String {
    let Ok(code) = QrCode::new(text) else {
        return String::new();
    };
    let drawn = code
        .render::<svg::Color<'_>>()
        .min_dimensions(PICTURE_SIDE, PICTURE_SIDE)
        .build();
    // Inside a page it is no document of its own.
    match drawn.find("<svg") {
        Some(at) => drawn[at..].to_owned(),
        None => String::new(),
    }
}

async fn sessions(
    market: &Market,
    (visit, user): (&Visit, UserId),
) -> Result<Vec<SessionRow>, AccountError> {
    let rows = market.0.parts.accounts.sessions_of(user).await;
    let rows = rows.map_err(AccountError::Store)?;
    let time = |micros: i64| {
        let at = DateTime::from_timestamp_micros(micros);
        at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default()
    };
    let rows = rows.into_iter().map(|row| SessionRow {
        id: row.id.to_string(),
        since: time(row.created_at),
        seen: time(row.last_seen_at),
        this: visit.id == Some(row.id),
        browser: row.user_agent,
    });
    Ok(rows.collect())
}

/// Does what one of the page's forms asks for.
pub(super) async fn change(
    State(market): State<Market>,
    Submitted { visitor, form, .. }: Submitted<Fields>,
) -> Response {
    let at = (&market, &visitor);
    let whose = match own(at) {
        Ok(whose) => whose,
        Err(response) => return *response,
    };
    match carry_out(at, whose, &form).await {
        Ok(Done::Said(what)) => to(&format!("/account?done={what}")),
        Ok(Done::In(cookie)) => {
            in_with(&market, &visitor, (&cookie, "/account?done=password")).await
        }
        Ok(Done::Out) => out(&market, "/login"),
        done => account_page(at, whose, Some(done), None).await,
    }
}

async fn carry_out(
    (market, visitor): (&Market, &Visitor),
    (visit, user): (&Visit, UserId),
    form: &Fields,
) -> Result<Done, AccountError> {
    let accounts = &market.0.parts.accounts;
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let secret = |name: &str| SecretString::from(text(name));
    let from = visitor.origin();
    match text("do") {
        "password" => {
            let passwords = (&secret("old"), &secret("password"));
            let cookie = accounts.change_password(visit, passwords, from);
            cookie.await.map(Done::In)
        }
        "offer-codes" => Ok(Done::Offered),
        "confirm-codes" => {
            let entered = (text("code"), from);
            let codes = accounts.confirm_codes(&visit.person, entered);
            codes.await.map(Done::Codes)
        }
        "end-codes" => {
            let shown = (&secret("old"), from);
            accounts.end_codes(visit, shown).await?;
            Ok(Done::Said("codes-off"))
        }
        "end-session" => {
            let id = text("session").parse().map_err(|_| AccountError::Nobody)?;
            let ended = accounts.end_session(user, id).await;
            ended.map_err(AccountError::Store)?;
            let own = visit.id == Some(id);
            Ok(if own { Done::Out } else { Done::Said("ended") })
        }
        "unlink" => {
            let id = text("identity").parse().map_err(|_| AccountError::Nobody)?;
            let ended = accounts.unlink_own(&visit.person, id).await;
            ended.map_err(AccountError::from)?;
            // A session that began with it is over.
            let own = visit.issuer.is_some();
            Ok(if own {
                Done::Out
            } else {
                Done::Said("unlinked")
            })
        }
        "everywhere" => {
            let ended = accounts.sign_out_everywhere(user).await;
            ended.map_err(AccountError::Store)?;
            Ok(Done::Out)
        }
        _ => Err(AccountError::Nobody),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_drawn_without_style_or_script() {
        let drawn = picture("otpauth://totp/Causeway:ann?secret=GEZDGNBVGY3TQOJQ&issuer=Causeway");
        assert!(
            drawn.starts_with("<svg") && drawn.ends_with("</svg>"),
            "{drawn}"
        );
        assert!(!drawn.contains("style") && !drawn.contains("script"));
        assert!(!drawn.contains("GEZDGNBVGY3TQOJQ"));
    }
}
