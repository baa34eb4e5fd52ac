//! Accounts that users connect for their own calls: what a link is for, how an account is connected by the one
//! person it is for, and how it ends. Nobody is ever shown what is stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::account::Visit;
use crate::access::person::Person;
use crate::access::upstream_auth::{Begun, Pending, Returned};
use crate::credential::oauth::{Endpoints, TokenSource, origin};
use crate::credential::{self, Kind, Secret};
use crate::extract::Path;
use crate::live::Entry;
use crate::market::api::Market;
use crate::market::api::clients::redirect_uri;
use crate::market::api::credentials::wanted;
use crate::market::api::page::{Asked, Listed};
use crate::market::api::servers::{act, owned};
use crate::mcp::call::own::not_ready;
use crate::mcp::server::{ApiProvider, Provider, Server};
use crate::openapi::SecurityScheme;
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::NewAudit;
use crate::store::connected::{Place, ShownRow};
use crate::types::{ServerId, UserId};

/// Tools that are named.
const TOOLS_NAMED_MAX: usize = 20;

/// What somebody is about to connect.
pub(crate) struct Offer {
    pub(crate) entry: Arc<Entry>,
    pub(crate) server: Arc<Server>,
    pub(crate) scheme: String,
    pub(crate) user: UserId,
}

impl Offer {
    /// What is offered to this very person. Anybody else is told that it is not theirs, and nothing more.
    pub(crate) async fn of_link(
        market: &Market,
        person: &Person,
        token: &str,
    ) -> Result<Self, Problem> {
        let link = market.0.parts.mcp.tokens.offered(token).await?;
        let link = link.ok_or_else(gone)?;
        if person.user() != Some(UserId(link.user_id)) {
            return Err(not_yours());
        }
        Self::of_server(market, person, (ServerId(link.server_id), &link.scheme)).await
    }

    /// A scheme of a server that each user connects an account for, as far as this person may use it.
    pub(crate) async fn of_server(
        market: &Market,
        person: &Person,
        (server, scheme): (ServerId, &str),
    ) -> Result<Self, Problem> {
        let user = person.user().ok_or_else(nobody)?;
        let catalog = &market.0.parts.publisher.catalog;
        let entry = catalog.entry(server);
        let entry = entry.filter(|entry| {
            entry.is_shown_to(&person.caller)
                && entry.closed.is_none()
                && entry.settings.user_accounts.contains(scheme)
        });
        let entry = entry.ok_or_else(gone)?;
        let server = catalog.server(entry.id).await?;
        let offer = Self {
            entry,
            server,
            scheme: scheme.to_owned(),
            user,
        };
        let api = offer.api()?;
        if !api.credentials.is_each_users(scheme) {
            return Err(gone());
        }
        if let Some(why) = not_ready(api, scheme) {
            let detail =
                format!("this cannot be connected yet: {why}; the server's owner can set it up");
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        Ok(offer)
    }

    fn api(&self) -> Result<&ApiProvider, Problem> {
        match &self.server.provider {
            Provider::Api(api) => Ok(api),
            Provider::Native(_) => Err(gone()),
        }
    }

    fn kind(&self) -> Result<&SecurityScheme, Problem> {
        self.api()?.schemes.get(&self.scheme).ok_or_else(gone)
    }

    fn place(&self) -> Place<'_> {
        Place {
            organization: self.entry.organization,
            server: self.entry.id,
            scheme: &self.scheme,
            user: self.user,
        }
    }

    /// Of OAuth: where its tokens come from.
    pub(crate) fn source(&self) -> Option<&Arc<TokenSource>> {
        self.api().ok()?.sources.get(&self.scheme)
    }

    /// What kind of credential it is, in words, and whether it is a name and a password.
    pub(crate) fn words(&self) -> (String, bool) {
        let kind = self.kind();
        let basic = matches!(kind, Ok(SecurityScheme::Basic));
        (
            kind.map(|kind| Kind(kind).to_string()).unwrap_or_default(),
            basic,
        )
    }

    /// Where it will go: the destinations of the tools that use it; of tokens, those among them that the
    /// client's owner approved.
    pub(crate) fn origins(&self) -> BTreeSet<String> {
        let wanted = wanted(&self.scheme, &self.server);
        let held = self
            .api()
            .ok()
            .and_then(|api| api.credentials.get(&self.scheme));
        match (self.source(), held) {
            (Some(_), Some(held)) => wanted.intersection(&held.origins).cloned().collect(),
            _ => wanted,
        }
    }

    /// The tools that use it and that this person may call, and how many more there are.
    pub(crate) fn tools(&self, person: &Person) -> (Vec<String>, usize) {
        let uses = self.server.tools.values().filter(|tool| {
            let security = tool.def.binding.security.iter();
            let mut security = security.filter(|all| all.0.contains_key(&self.scheme));
            security.next().is_some()
                && person
                    .caller
                    .may(self.entry.target(), Some(&tool.def.operation))
        });
        let mut names: Vec<String> = uses.map(|tool| tool.def.name.to_string()).collect();
        let more = names.len().saturating_sub(TOOLS_NAMED_MAX);
        names.truncate(TOOLS_NAMED_MAX);
        (names, more)
    }

    /// Where the authorization server is, as far as that is known without asking.
    pub(crate) fn authorization_server(&self) -> Option<String> {
        match self.source()?.endpoints.as_ref().ok()? {
            Endpoints::Stated(addresses) => addresses.authorization.as_ref().map(origin),
            Endpoints::Discovered(url) => Some(origin(url)),
        }
    }

    /// Makes a link to what is offered.
    pub(crate) async fn link(&self, market: &Market) -> Result<String, Problem> {
        Ok(market.0.parts.mcp.tokens.offer(self.place()).await?)
    }

    /// What the person saw has to be what there is.
    fn check_seen(&self, seen: &BTreeSet<String>) -> Result<(), Problem> {
        let origins = self.origins();
        if origins.is_empty() {
            let detail =
                "there is no destination it may go to yet; the server's owner has to approve one";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        if *seen != origins {
            let detail = "where it will go has changed since the page was shown; look at it again";
            return Err(Problem::new(ProblemKind::Conflict, detail));
        }
        Ok(())
    }

    async fn take(&self, market: &Market, token: &str) -> Result<(), Problem> {
        let taken = market
            .0
            .parts
            .mcp
            .tokens
            .take_offer(token, self.user)
            .await?;
        taken.map(|_| ()).ok_or_else(gone)
    }

    /// Keeps what the person entered. The link is used up.
    pub(crate) async fn enter(
        &self,
        market: &Market,
        person: &Person,
        (token, value, seen): (&str, &str, &BTreeSet<String>),
    ) -> Result<(), Problem> {
        self.check_seen(seen)?;
        let publisher = &market.0.parts.publisher;
        let secret = Secret::usable_for(self.kind()?, value, publisher.clock.now());
        let secret =
            secret.map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))?;
        credential::check(self.kind()?, &secret)
            .map_err(|reason| Problem::new(ProblemKind::Unprocessable, reason))?;
        self.take(market, token).await?;
        let mut act = act(person, "account.connect", &self.entry);
        act.after = Some(json!({ "scheme": self.scheme, "origins": seen }).to_string());
        let tokens = &market.0.parts.mcp.tokens;
        let kept = tokens.keep_entered(self.place(), (&secret, seen), &act);
        if kept.await? { Ok(()) } else { Err(gone()) }
    }

    /// Begins the way to the authorization server, bound to the session of the visit. The link is used up.
    pub(crate) async fn begin(
        &self,
        market: &Market,
        (visit, headers): (&Visit, &HeaderMap),
        (token, seen): (&str, &BTreeSet<String>),
    ) -> Result<Begun, Problem> {
        self.check_seen(seen)?;
        let source = self.source().ok_or_else(gone)?;
        let source = source.of_user(self.user, None);
        let (who, redirect) = (session_of(market, visit), redirect_uri(market, headers));
        let with = (self.entry.organization, who.as_str(), redirect.as_str());
        let tokens = &market.0.parts.mcp.tokens;
        let upstream = &self.api()?.upstream;
        let begun = tokens.begin_for(&source, upstream, (with, seen.clone()));
        let begun = begun.await?;
        // Last: what cannot be begun costs no link, and what was begun leads nowhere without it.
        self.take(market, token).await?;
        Ok(begun)
    }
}

/// What ties an authorization to the browser it was begun in.
fn session_of(market: &Market, visit: &Visit) -> String {
    market.0.parts.accounts.sessions().csrf(&visit.session)
}

/// Ends what was begun, for the one person who began it, in the same session.
pub(super) async fn complete(
    market: &Market,
    visit: &Visit,
    (pending, returned): (&Pending, Returned<'_>),
) -> Result<(), Problem> {
    let person = &visit.person;
    let own = person.user().is_some() && person.user() == pending.user;
    if !own || pending.who != session_of(market, visit) {
        return Err(not_yours());
    }
    let offer = Offer::of_server(market, person, (pending.server, &pending.scheme)).await?;
    let source = offer.source().ok_or_else(gone)?;
    if source.client.credential != pending.credential {
        return Err(gone());
    }
    let tokens = &market.0.parts.mcp.tokens;
    let source = source.of_user(offer.user, None);
    let made = tokens.complete(&source, &offer.api()?.upstream, (pending, returned));
    let made = made.await?;
    let mut act = act(person, "account.connect", &offer.entry);
    act.after = Some(json!({ "scheme": offer.scheme, "origins": pending.origins }).to_string());
    let kept = tokens.keep_tokens(offer.place(), (made, &pending.origins), &act);
    if kept.await? { Ok(()) } else { Err(gone()) }
}

/// Ends an account of one's own: what is stored is destroyed at once, and its tokens are revoked where their
/// server can do that.
pub(crate) async fn end(market: &Market, person: &Person, id: Uuid) -> Result<(), Problem> {
    let user = person.user().ok_or_else(nobody)?;
    let publisher = &market.0.parts.publisher;
    let row = publisher.store.account_by_id(id, user).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let entry = publisher.catalog.entry(ServerId(row.server_id));
    let name = entry.as_ref().map(|entry| entry.slug.to_string());
    let name = name.unwrap_or_else(|| row.server_id.to_string());
    let who = (person.organization(), person.actor());
    let mut act = NewAudit::of(who, "account.disconnect", ("server", name));
    act.before = Some(json!({ "scheme": row.scheme }).to_string());
    if !publisher
        .store
        .disconnect_account(&row, &act, publisher.clock.now())
        .await?
    {
        return Err(Problem::not_found());
    }
    let Some(entry) = entry.filter(|_| row.credential_id.is_some()) else {
        return Ok(());
    };
    let Ok(server) = publisher.catalog.server(entry.id).await else {
        return Ok(());
    };
    if let Provider::Api(api) = &server.provider
        && let Some(source) = api.sources.get(&row.scheme)
        && Some(source.client.credential.0) == row.credential_id
    {
        let source = source.of_user(user, Some(row.id));
        market
            .0
            .parts
            .mcp
            .tokens
            .end_own(&source, &api.upstream, row)
            .await;
    }
    Ok(())
}

/// One's own accounts, as people see them.
pub(crate) async fn own(market: &Market, person: &Person) -> Result<Vec<ShownRow>, Problem> {
    let user = person.user().ok_or_else(nobody)?;
    let store = &market.0.parts.publisher.store;
    Ok(store.accounts_of(user, (Uuid::nil(), SHOWN_MAX)).await?)
}

/// Accounts a page shows.
const SHOWN_MAX: i64 = 500;

/// What this person could connect and has not: servers with the schemes.
pub(crate) fn open_to(
    market: &Market,
    person: &Person,
    own: &[ShownRow],
) -> Vec<(Arc<Entry>, String)> {
    let entries = market.0.parts.publisher.catalog.entries_where(|entry| {
        !entry.settings.user_accounts.is_empty()
            && entry.closed.is_none()
            && entry.is_shown_to(&person.caller)
    });
    let schemes = entries.into_iter().flat_map(|entry| {
        let schemes = entry.settings.user_accounts.clone();
        schemes
            .into_iter()
            .map(move |scheme| (entry.clone(), scheme))
    });
    let is_new = |(entry, scheme): &(Arc<Entry>, String)| {
        !own.iter()
            .any(|row| row.server_id == entry.id.0 && row.scheme == *scheme)
    };
    schemes
        .filter(is_new)
        .take(usize::try_from(SHOWN_MAX).unwrap_or(usize::MAX))
        .collect()
}

pub(super) async fn list_own(
    State(market): State<Market>,
    person: Person,
    asked: Asked<Uuid>,
) -> Result<Listed, Problem> {
    let user = person.user().ok_or_else(Problem::not_found)?;
    let page = (asked.after.unwrap_or_default(), asked.read_max());
    let rows = market.0.parts.publisher.store.accounts_of(user, page);
    let page = asked.page(rows.await?, |row| row.id);
    Ok(page.answer("accounts", view))
}

pub(super) async fn disconnect(
    State(market): State<Market>,
    person: Person,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who connected an account at a server. That they did, and never what is stored.
pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    asked: Asked<Uuid>,
) -> Result<Listed, Problem> {
    let entry = owned(&market, &person, &slug)?;
    let page = (asked.after.unwrap_or_default(), asked.read_max());
    let rows = market.0.parts.publisher.store.accounts_at(entry.id, page);
    let page = asked.page(rows.await?, |row| row.id);
    Ok(page.answer("accounts", |row| {
        let mut view = view(row);
        view["user"] = json!(row.user_name);
        view
    }))
}

fn view(row: &ShownRow) -> Value {
    let time = DateTime::from_timestamp_micros;
    json!({
        "id": row.id,
        "server": row.slug,
        "scheme": row.scheme,
        "kind": if row.credential_id.is_some() { "oauth" } else { "secret" },
        "state": row.state,
        "origins": serde_json::from_str::<Value>(&row.origins).unwrap_or_default(),
        "connectedAt": time(row.created_at),
        "lastUsedAt": row.last_used_at.and_then(time),
    })
}

/// Whether each of these names a scheme that users can have accounts for.
pub(super) async fn check(
    market: &Market,
    entry: &Entry,
    schemes: &BTreeSet<String>,
) -> Result<(), Problem> {
    let server = market.0.parts.publisher.catalog.server(entry.id).await?;
    let known = |name: &String| match &server.provider {
        Provider::Api(api) => api.schemes.get(name).cloned(),
        Provider::Native(_) => None,
    };
    for name in schemes.difference(&entry.settings.user_accounts) {
        let detail = match known(name) {
            None => "names no security scheme of the document",
            Some(SecurityScheme::MutualTls) => {
                "a client certificate belongs to the server; users cannot have their own"
            }
            Some(_) => continue,
        };
        let detail = format!("`userAccounts`: {name}: {detail}");
        return Err(Problem::new(ProblemKind::Unprocessable, detail));
    }
    Ok(())
}

/// Destroys what users have for schemes that are not theirs to connect any more.
pub(super) async fn forget(
    market: &Market,
    entry: &Entry,
    now: &BTreeSet<String>,
) -> Result<(), Problem> {
    for scheme in entry.settings.user_accounts.difference(now) {
        let store = &market.0.parts.publisher.store;
        let forgotten = store.forget_accounts(entry.id, scheme).await?;
        tracing::info!(server.slug = %entry.slug, %scheme, forgotten, "users' own accounts are destroyed");
    }
    Ok(())
}

fn gone() -> Problem {
    let detail = "this link is not good: it was used, is older than ten minutes, or what it was for is not there \
                  any more; call the tool again for a new one";
    Problem::new(ProblemKind::NotFound, detail)
}

fn not_yours() -> Problem {
    let detail = "this was begun for somebody else, or in another browser session, and nothing was stored; do not go on \
                  if somebody sent you this address";
    Problem::new(ProblemKind::Forbidden, detail)
}

fn nobody() -> Problem {
    let detail = "the admin key is nobody in particular and has no accounts; sign in as yourself";
    Problem::new(ProblemKind::Forbidden, detail)
}
