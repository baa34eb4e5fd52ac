//! The caller's own accounts: what a call attaches of the very user it is made for, or how that user is led to
//! where they connect one. A call that is made for nobody in particular gets nobody's.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::access::session::random;
use crate::access::upstream_auth::{LINK_MINUTES, Own, OwnSecret, Token, TokenError};
use crate::credential::oauth::{Grant, TokenSource};
use crate::credential::{Mask, Secret};
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::call::held::in_time;
use crate::mcp::provider::{CallError, CallOutcome, Content, InputRequired, Leads, ToolOutcome};
use crate::mcp::server::ApiProvider;
use crate::openapi::SecurityScheme;
use crate::store::connected::Place;
use crate::types::UserId;

/// What the question is called in an answer that asks it.
const QUESTION: &str = "connect";

/// What a call attaches for one scheme.
pub(crate) struct Attached {
    pub(crate) scheme: String,
    pub(crate) secret: Secret,
    pub(crate) origins: BTreeSet<String>,
    /// Of OAuth: where the token comes from.
    pub(crate) token: Option<(Arc<TokenSource>, Arc<Token>)>,
}

/// Why there is no account of the caller's own. Nothing was sent. The texts are for the model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unconnected {
    #[error(
        "Not sent: this tool uses an account that each user connects for themselves (\"{scheme}\"), and this \
         call is made for nobody in particular: {why}. It can be called with an API key that belongs to a \
         person, which people make for themselves on the page of keys, or by somebody who signed in."
    )]
    Nobody { scheme: String, why: &'static str },
    #[error(
        "Not sent: for \"{scheme}\" each user connects their own account, and the server lacks what that \
         takes: {why}. The server's owner can set it up in the server's settings."
    )]
    NotReady { scheme: String, why: &'static str },
    #[error(
        "Not sent yet: {why}. Tell your user to open this link, to sign in as themselves, and to connect \
         their account \"{scheme}\" for the server \"{server}\": {url}\nThe link is for that user alone, works \
         once, and for {LINK_MINUTES} minutes. Call the tool again when they have done it. Never open the link \
         yourself, and never ask for the user's password or key."
    )]
    Told {
        scheme: String,
        server: String,
        why: &'static str,
        url: String,
    },
    #[error(
        "Not sent: the user did not connect an account for \"{scheme}\". Do not ask again unless they want it."
    )]
    Declined { scheme: String },
    /// The client is asked in the answer.
    #[error("the user is led to a page")]
    Asked(InputRequired),
    /// The client is told in an error: these are its `data`.
    #[error("the user is led to a page")]
    Elicited(Value),
}

impl Unconnected {
    pub(crate) fn into_outcome(self) -> Result<CallOutcome, CallError> {
        match self {
            Self::Asked(input) => Ok(CallOutcome::InputRequired(input)),
            Self::Elicited(data) => Err(CallError::UserHasToVisit(data)),
            told => Ok(CallOutcome::Complete(ToolOutcome {
                content: vec![Content::Text(told.to_string())],
                is_error: true,
                ..ToolOutcome::default()
            })),
        }
    }
}

/// Whom a call is made for.
pub(crate) fn user(work: &Work<'_>, scheme: &str) -> Result<UserId, Unconnected> {
    let caller = work.caller;
    caller.user.ok_or_else(|| Unconnected::Nobody {
        scheme: scheme.to_owned(),
        why: if caller.is_anonymous() {
            "it came without a key"
        } else if caller.is_admin() {
            "the admin key is nobody's"
        } else if caller.key.is_some() {
            "its API key belongs to no person"
        } else {
            "what it came with stands for no person who has an account here"
        },
    })
}

/// What the user of a call has for a scheme, to be sent to `origin`.
pub(crate) async fn take(
    work: &Work<'_>,
    api: &ApiProvider,
    (scheme, origin): (&str, &str),
) -> Result<Attached, Failure> {
    let user = user(work, scheme)?;
    let place = (work.server.id, scheme, user);
    let own = in_time(work, work.cx.tokens.own(place)).await?;
    let Some(own) = own else {
        let why = "the user has to connect their own account first";
        return Err(lead(work, api, (scheme, user, why)).await);
    };
    if !own.origins.contains(origin) {
        let why = "the API's address changed since the user connected their account, and they have to look at \
                   the new one";
        return Err(lead(work, api, (scheme, user, why)).await);
    }
    match opened(work, api, (scheme, own)).await? {
        Some(attached) => Ok(attached),
        None => {
            let why = "the user's account is not connected any more, and has to be connected again";
            Err(lead(work, api, (scheme, user, why)).await)
        }
    }
}

/// The secret of an account. Nothing: its connection has ended.
async fn opened(
    work: &Work<'_>,
    api: &ApiProvider,
    (scheme, own): (&str, Own),
) -> Result<Option<Attached>, Failure> {
    let (secret, token) = match own.secret {
        OwnSecret::Ended => return Ok(None),
        OwnSecret::Entered(secret) => {
            work.context.own.hide(&Mask::new([&secret]));
            (secret, None)
        }
        OwnSecret::Tokens(credential) => {
            let source = api.sources.get(scheme);
            let source = source.filter(|source| source.client.credential == credential);
            let Some(source) = source else {
                return Ok(None);
            };
            let source = Arc::new(source.of_user(own.user, Some(own.id)));
            let token = work.cx.tokens.token(&source, &api.upstream);
            let token = match in_time(work, token).await {
                Err(Failure::Token(TokenError::NeedsConnection { .. })) => return Ok(None),
                got => got?,
            };
            work.context.own.hide(token.mask());
            (Secret::Token(token.value().clone()), Some((source, token)))
        }
    };
    Ok(Some(Attached {
        scheme: scheme.to_owned(),
        secret,
        origins: own.origins,
        token,
    }))
}

/// Leads the user to where they connect an account, in whatever way their client has.
async fn lead(
    work: &Work<'_>,
    api: &ApiProvider,
    (scheme, user, why): (&str, UserId, &'static str),
) -> Failure {
    if let Some(why) = not_ready(api, scheme) {
        let scheme = scheme.to_owned();
        return Unconnected::NotReady { scheme, why }.into();
    }
    let answer = work.context.answered.as_ref();
    let answer = answer.and_then(|answers| answers.get(QUESTION)?.get("action")?.as_str());
    if answer.is_some_and(|action| action != "accept") {
        let scheme = scheme.to_owned();
        return Unconnected::Declined { scheme }.into();
    }
    let place = Place {
        organization: work.server.organization,
        server: work.server.id,
        scheme,
        user,
    };
    let token = match work.cx.tokens.offer(place).await {
        Ok(token) => token,
        Err(error) => return error.into(),
    };
    let url = format!("{}/connect/{token}", work.context.leads.base);
    let server = &work.server.title;
    let asked = json!({
        "mode": "url",
        "elicitationId": random(),
        "url": url,
        "message": format!(
            "Connect your own account \"{scheme}\" for the server {server} ({}): sign in and follow the page.",
            work.server.slug
        ),
    });
    match &work.context.leads.way {
        // Whoever agreed to go there is not through yet; asking again at once would only repeat the question.
        Leads::InAnswer if answer.is_none() => Unconnected::Asked(InputRequired {
            requests: json!({ QUESTION: { "method": "elicitation/create", "params": asked } }),
            state: None,
        }),
        Leads::InError => Unconnected::Elicited(json!({ "elicitations": [asked] })),
        Leads::InAnswer | Leads::Told => Unconnected::Told {
            scheme: scheme.to_owned(),
            server: server.clone(),
            why,
            url,
        },
    }
    .into()
}

/// Why nobody can connect an account for a scheme, if so.
pub fn not_ready(api: &ApiProvider, scheme: &str) -> Option<&'static str> {
    let oauth = matches!(
        api.schemes.get(scheme),
        Some(SecurityScheme::OAuth2 { .. } | SecurityScheme::OpenIdConnect { .. })
    );
    let source = api.sources.get(scheme);
    match source {
        Some(source) if source.grant != Grant::AuthorizationCode => {
            Some("its OAuth client gets tokens for itself and not for users")
        }
        None if oauth => Some("no OAuth client is registered for it"),
        _ => None,
    }
}
