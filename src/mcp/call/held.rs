//! The credentials of one call: the server's, with an access token in the place of each OAuth client that
//! the request needs. Tokens are got here, so that attaching stays pure.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use http::{Method, StatusCode};
use tokio::time::timeout_at;

use crate::access::upstream_auth::{Token, TokenError};
use crate::credential::mask::MASKED;
use crate::credential::oauth::TokenSource;
use crate::credential::{self, Credentials, pass};
use crate::egress::Upstream;
use crate::mcp::call::exchange::Work;
use crate::mcp::call::failure::Failure;
use crate::mcp::call::own;
use crate::mcp::provider::CallError;
use crate::mcp::server::ApiProvider;
use crate::types::UpstreamRequest;

/// What one call attaches.
pub(crate) struct Held<'a> {
    pub(crate) api: &'a ApiProvider,
    /// Absent where no token is needed.
    with_tokens: Option<Credentials>,
    tokens: Vec<(Arc<TokenSource>, Arc<Token>)>,
    /// The schemes that need one.
    wanting: Vec<String>,
    /// The schemes for which the user's own account is needed, and where it would go.
    wanting_own: Vec<String>,
    origin: String,
    /// Once is enough: what a new token does not open is closed.
    renewed: bool,
}

impl<'a> Held<'a> {
    /// Gets the tokens that a call needs.
    pub(crate) async fn of(
        work: &Work<'_>,
        api: &'a ApiProvider,
        request: &UpstreamRequest,
    ) -> Result<Self, Failure> {
        let mut held = Self {
            api,
            with_tokens: None,
            tokens: Vec::new(),
            wanting: wanting(work, api, request)?,
            wanting_own: wanting_own(work, api, request)?,
            origin: request.url.origin().ascii_serialization(),
            renewed: false,
        };
        held.get(work).await?;
        Ok(held)
    }

    /// The same for a request that is not sent: no token is got, a mark stands for each.
    pub(crate) fn rehearsed(
        work: &Work<'_>,
        api: &'a ApiProvider,
        request: &UpstreamRequest,
    ) -> Result<Self, Failure> {
        let wanting = wanting(work, api, request)?;
        let wanting_own = wanting_own(work, api, request)?;
        for scheme in &wanting_own {
            own::user(work, scheme)?;
        }
        let origin = request.url.origin().ascii_serialization();
        let marks = wanting.iter().map(|scheme| (&**scheme, MASKED.into()));
        let own = wanting_own.iter().filter_map(|name| {
            let origins = BTreeSet::from([origin.clone()]);
            let scheme = api.schemes.get(name)?;
            Some((name.as_str(), credential::stand_in(scheme), origins))
        });
        let marked = api.credentials.with_tokens(marks).with_own(own);
        Ok(Self {
            api,
            with_tokens: Some(marked),
            tokens: Vec::new(),
            wanting,
            wanting_own,
            origin,
            renewed: false,
        })
    }

    /// The request with its credential and what the caller passes on, bound to the origin it goes to,
    /// and the connections it has to be sent on.
    pub(crate) fn attach(
        &self,
        work: &Work<'_>,
        request: UpstreamRequest,
    ) -> Result<(UpstreamRequest, &'a Upstream), Failure> {
        let api = self.api;
        let credentials = self.with_tokens.as_ref().unwrap_or(&api.credentials);
        let (headers, security) = work.signing(api, &request)?;
        let mut attached = credential::attach(request, &security, &api.schemes, credentials)?;
        pass::apply(&mut attached, headers);
        let upstream = match credential::identity(&security, &api.schemes, credentials) {
            Some((scheme, identity)) => work.identified(api, (scheme, identity))?,
            None => &api.upstream,
        };
        Ok((attached, upstream))
    }

    /// Gets other tokens where the API refused the ones there were (RFC 6750 section 3.1). `true`: there are
    /// others, and the request may be sent once more. One that may not be repeated is left at its answer,
    /// and the next call gets another token.
    pub(crate) async fn renewed(
        &mut self,
        work: &Work<'_>,
        method: &Method,
        status: StatusCode,
    ) -> Result<bool, Failure> {
        if status != StatusCode::UNAUTHORIZED || self.renewed || self.tokens.is_empty() {
            return Ok(false);
        }
        self.renewed = true;
        let before = std::mem::take(&mut self.tokens);
        let tokens = &work.cx.tokens;
        let mut others = false;
        for (source, token) in &before {
            others |= tokens.refused(source, token);
        }
        // RFC 9110 section 9.2.2.
        if !others || !method.is_idempotent() {
            return Ok(false);
        }
        self.get(work).await?;
        let same =
            |(one, other): (&(_, Arc<Token>), &(_, Arc<Token>))| Arc::ptr_eq(&one.1, &other.1);
        Ok(!before.iter().zip(&self.tokens).all(same))
    }

    async fn get(&mut self, work: &Work<'_>) -> Result<(), Failure> {
        if self.wanting.is_empty() && self.wanting_own.is_empty() {
            return Ok(());
        }
        Box::pin(self.get_all(work)).await
    }

    async fn get_all(&mut self, work: &Work<'_>) -> Result<(), Failure> {
        for scheme in &self.wanting {
            let Some(source) = self.api.sources.get(scheme) else {
                continue;
            };
            let token = work.cx.tokens.token(source, &self.api.upstream);
            let token = in_time(work, token).await?;
            self.tokens.push((source.clone(), token));
        }
        let got = self.tokens.iter();
        let got = got.map(|(source, token)| (source.scheme.as_str(), token.value().clone()));
        let credentials = self.api.credentials.with_tokens(got);
        let mut owned = Vec::new();
        for scheme in &self.wanting_own {
            let own = own::take(work, self.api, (scheme, &self.origin)).await?;
            self.tokens.extend(own.token);
            owned.push((own.scheme, own.secret, own.origins));
        }
        let owned = owned
            .iter()
            .map(|(scheme, secret, origins)| (scheme.as_str(), secret.clone(), origins.clone()));
        self.with_tokens = Some(credentials.with_own(owned));
        Ok(())
    }
}

/// The schemes that want a token, but for those a header of the caller's answers for.
fn wanting(
    work: &Work<'_>,
    api: &ApiProvider,
    request: &UpstreamRequest,
) -> Result<Vec<String>, Failure> {
    if api.sources.is_empty() {
        return Ok(Vec::new());
    }
    let (_, security) = work.signing(api, request)?;
    let wanting = credential::wanting_tokens(&security, &api.schemes, &api.credentials);
    Ok(wanting.into_iter().map(str::to_owned).collect())
}

/// The schemes that want the user's own account, but for the same.
fn wanting_own(
    work: &Work<'_>,
    api: &ApiProvider,
    request: &UpstreamRequest,
) -> Result<Vec<String>, Failure> {
    if work.server.settings.user_accounts.is_empty() {
        return Ok(Vec::new());
    }
    let (_, security) = work.signing(api, request)?;
    let wanting = credential::wanting_own(&security, &api.schemes, &api.credentials);
    Ok(wanting.into_iter().map(str::to_owned).collect())
}

/// Waits no longer than the call may take. What is waited for goes on.
pub(crate) async fn in_time<T>(
    work: &Work<'_>,
    token: impl Future<Output = Result<T, TokenError>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        () = work.context.cancel.cancelled() => Err(Failure::NotRun(CallError::Cancelled)),
        got = timeout_at(work.deadline.into(), token) => match got {
            Ok(got) => Ok(got?),
            Err(_) => Err(Failure::TimedOut),
        },
    }
}
