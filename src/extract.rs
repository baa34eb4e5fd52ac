//! What handlers take as arguments: who is asking, and what they sent. Whether somebody may is asked
//! before, at the gate (`market::gate`).

use std::net::{IpAddr, SocketAddr};

use axum::Json;
use axum::extract::multipart::MultipartError;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Multipart, Request};
use http::header::{CONTENT_TYPE, COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::access::account::{Origin, Visit};
use crate::access::caller::{Caller, OnBehalf, site};
use crate::access::person::Person;
use crate::access::session::Session;
use crate::market::api::Market;
use crate::problem::{Problem, ProblemKind};

/// Whoever asks, known or not, and from where.
pub struct Who(pub Caller, pub Option<IpAddr>);

/// Whoever asks, as they were recognised: with a key, or with a session.
#[derive(Clone)]
pub struct Identity {
    pub caller: Caller,
    /// Somebody with a role; `None`: nobody, or an API key's owner.
    pub person: Option<Person>,
}

/// Who looks at a page, and what their browser says. Reads as its headers.
#[derive(Clone)]
pub struct Visitor {
    pub headers: HeaderMap,
    /// Where they come from: the site, or nothing that is known.
    pub address: String,
    pub visit: Option<Visit>,
}

/// The cookie a session is kept in.
pub const SESSION_COOKIE: &str = "causeway_session";
/// The same where the public URL is https: the browser holds it to this host.
pub const SECURE_SESSION_COOKIE: &str = "__Host-causeway_session";

/// Recognises whoever sends a request to the management API.
pub(crate) async fn identify(parts: &Parts, market: &Market) -> Result<Identity, Problem> {
    if let Some(OnBehalf(caller)) = parts.extensions.get() {
        return on_behalf(caller.clone(), market).await;
    }
    let authenticator = &market.0.parts.authenticator;
    let caller = authenticator.authenticate(&parts.headers).await;
    let caller = caller?;
    if caller.is_admin() {
        let person = Some(Person::of_admin_key());
        return Ok(Identity { caller, person });
    }
    if caller.is_anonymous()
        && let Some(visit) = visit(&parts.headers, market).await?
        && may_act(parts, market, &visit)
    {
        return Ok(Identity {
            caller: visit.person.caller.clone(),
            person: Some(visit.person),
        });
    }
    let person = None;
    Ok(Identity { caller, person })
}

/// Whoever a request inside the process is made for: as if they had sent it themselves. Somebody without
/// a key signed in, and is looked up again, since they may be somebody else by now.
async fn on_behalf(caller: Caller, market: &Market) -> Result<Identity, Problem> {
    let person = match caller.user.filter(|_| caller.key.is_none()) {
        Some(user) => {
            let person = market.0.parts.accounts.person(user).await?;
            Some(person.ok_or_else(|| {
                Problem::new(ProblemKind::Forbidden, "this account is disabled or gone")
            })?)
        }
        None => caller.is_admin().then(Person::of_admin_key),
    };
    let caller = person.as_ref().map_or(caller, |it| it.caller.clone());
    Ok(Identity { caller, person })
}

/// A session reads; to write it needs its CSRF token in a header, which no form of another site has.
fn may_act(parts: &Parts, market: &Market, visit: &Visit) -> bool {
    let reads = matches!(parts.method, Method::GET | Method::HEAD);
    let token = parts
        .headers
        .get("x-csrf-token")
        .and_then(|value| value.to_str().ok());
    let sessions = market.0.parts.accounts.sessions();
    reads || token.is_some_and(|token| sessions.is_csrf(&visit.session, token))
}

impl FromRequestParts<Market> for Identity {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        match parts.extensions.get::<Self>() {
            Some(known) => Ok(known.clone()),
            None => identify(parts, market).await,
        }
    }
}

impl FromRequestParts<Market> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        let identity = Identity::from_request_parts(parts, market).await?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(identity.caller, peer.map(|peer| peer.0.ip())))
    }
}

/// The person that came through the gate. Where the gate let somebody in without being one, there is
/// none.
impl FromRequestParts<Market> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        let identity = Identity::from_request_parts(parts, market).await?;
        identity.person.ok_or_else(|| {
            let detail = "this needs somebody who signed in, or the admin key";
            Problem::new(ProblemKind::Unauthenticated, detail)
        })
    }
}

impl Visitor {
    pub(crate) async fn recognise(parts: &Parts, market: &Market) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            headers: parts.headers.clone(),
            address: peer.map_or_else(String::new, |peer| site(peer.ip()).to_string()),
            visit: visit(&parts.headers, market).await?,
        })
    }

    /// Where a try to sign in comes from.
    pub(crate) fn origin(&self) -> Origin<'_> {
        let user_agent = self.headers.get(USER_AGENT);
        Origin {
            address: &self.address,
            user_agent: user_agent
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default(),
        }
    }

    /// The CSRF token of their session.
    pub(crate) fn csrf(&self, market: &Market) -> Option<String> {
        let visit = self.visit.as_ref()?;
        Some(market.0.parts.accounts.sessions().csrf(&visit.session))
    }

    pub fn person(&self) -> Option<&Person> {
        self.visit.as_ref().map(|visit| &visit.person)
    }
}

impl std::ops::Deref for Visitor {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.headers
    }
}

impl FromRequestParts<Market> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, market: &Market) -> Result<Self, Problem> {
        match parts.extensions.get::<Self>() {
            Some(known) => Ok(known.clone()),
            None => Self::recognise(parts, market).await,
        }
    }
}

/// The session of a request, if it is good at this moment.
async fn visit(headers: &HeaderMap, market: &Market) -> Result<Option<Visit>, Problem> {
    let accounts = &market.0.parts.accounts;
    for value in cookies(headers, session_cookie(market)) {
        if let Some(visit) = accounts.visit(value).await? {
            return Ok(Some(visit));
        }
    }
    Ok(None)
}

/// What a request's session cookie says, whether or not the session is still good: only to tell one
/// browser from another.
pub fn session(headers: &HeaderMap, market: &Market) -> Option<Session> {
    let now = market.0.parts.publisher.clock.now();
    let sessions = market.0.parts.accounts.sessions();
    cookies(headers, session_cookie(market)).find_map(|value| sessions.read(value, now))
}

/// What the cookie of a session is called. Where the public URL is https, one that another site of its
/// domain could have set is none of ours.
pub(crate) fn session_cookie(market: &Market) -> &'static str {
    if market.0.parts.address.is_https() {
        SECURE_SESSION_COOKIE
    } else {
        SESSION_COOKIE
    }
}

/// Cookies of one name that are looked at.
const COOKIES_MAX: usize = 4;

/// The values of the cookies of a name.
pub(crate) fn cookies<'h>(
    headers: &'h HeaderMap,
    wanted: &'static str,
) -> impl Iterator<Item = &'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .filter(move |(name, _)| *name == wanted)
        .map(|(_, value)| value)
        .take(COOKIES_MAX)
}

/// The parameters of the path; what is wrong with one is said as a problem.
pub struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let axum::extract::Path(value) =
            read.map_err(|rejection| rejected(rejection.status(), rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The parameters behind the path; what is wrong with one is said as a problem.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        let axum::extract::Query(value) =
            read.map_err(|rejection| rejected(rejection.status(), rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// The fields of a form; what is wrong with one is said as a problem.
pub struct Form<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Form::<T>::from_request(request, state).await;
        let axum::extract::Form(value) =
            read.map_err(|rejection| rejected(rejection.status(), rejection.body_text()))?;
        Ok(Self(value))
    }
}

/// A body as it came; that it is too large is said as a problem.
pub struct Bytes(pub bytes::Bytes);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = bytes::Bytes::from_request(request, state).await;
        read.map(Self)
            .map_err(|rejection| rejected(rejection.status(), rejection.body_text()))
    }
}

/// What an extractor of the framework refused.
fn rejected(status: StatusCode, detail: String) -> Problem {
    let kind = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemKind::UnsupportedMediaType,
        _ => ProblemKind::Invalid,
    };
    Problem::new(kind, detail)
}

/// A JSON body; what is wrong with one is said as a problem.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Json(value) = Json::<T>::from_request(request, state)
            .await
            .map_err(|rejection| {
                let text = rejection.body_text();
                let detail = match text.strip_prefix(MISFIT) {
                    Some(what) => format!("the body does not fit: {what}"),
                    None => text,
                };
                rejected(rejection.status(), detail)
            })?;
        Ok(Self(value))
    }
}

/// What the framework begins with where JSON is not what is wanted; the place in it follows.
const MISFIT: &str = "Failed to deserialize the JSON body into the target type: ";

/// Fields and perhaps files, as JSON or as multipart/form-data with the same names.
pub struct Upload<T> {
    pub fields: T,
    /// Name and content of each part `file`.
    pub files: Vec<(String, bytes::Bytes)>,
}

/// Parts `file` of one form.
const FILES_MAX: usize = 2_000;

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequest<S> for Upload<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if !kind.starts_with("multipart/form-data") {
            let Body(fields) = Body::from_request(request, state).await?;
            return Ok(Self {
                fields,
                files: Vec::new(),
            });
        }
        let mut form = Multipart::from_request(request, state)
            .await
            .map_err(|rejection| rejected(rejection.status(), rejection.body_text()))?;
        let broken = |error: MultipartError| rejected(error.status(), error.body_text());
        let mut members = Map::new();
        let mut files = Vec::new();
        while let Some(field) = form.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if name == "file" {
                if files.len() == FILES_MAX {
                    let said = format!("`file`: more than {FILES_MAX} files; send a zip archive");
                    return Err(Problem::new(ProblemKind::Invalid, said));
                }
                let path = field.file_name().unwrap_or_default().to_owned();
                let bytes = field.bytes().await.map_err(broken)?;
                files.extend((!bytes.is_empty()).then_some((path, bytes)));
                continue;
            }
            let text = field.text().await.map_err(broken)?;
            if !text.is_empty() {
                add_member(&mut members, name, text)?;
            }
        }
        let fields = serde_json::from_value(Value::Object(members))
            .map_err(|error| Problem::new(ProblemKind::Invalid, error.to_string()))?;
        Ok(Self { fields, files })
    }
}

/// Fields that may be repeated.
const REPEATED: [&str; 1] = ["overlay"];

fn add_member(members: &mut Map<String, Value>, name: String, text: String) -> Result<(), Problem> {
    let value = member(&name, text)?;
    if !REPEATED.contains(&name.as_str()) {
        members.insert(name, value);
        return Ok(());
    }
    let list = members.entry(name).or_insert_with(|| json!([]));
    if let Value::Array(list) = list {
        list.push(value);
    }
    Ok(())
}

/// Text of a form field; the structured ones are JSON, or one entry a line.
fn member(name: &str, text: String) -> Result<Value, Problem> {
    Ok(match name {
        "credentials" => credentials(&text).ok_or_else(|| {
            // What was sent may be a secret: it is not repeated.
            let detail = "`credentials` is a JSON object of security scheme to value, or has one \
                          SCHEME=VALUE a line";
            Problem::new(ProblemKind::Invalid, detail)
        })?,
        "stage" | "draft" => Value::Bool(text.parse().map_err(|_| {
            let detail = "`stage` is true or false";
            Problem::new(ProblemKind::Invalid, detail)
        })?),
        "only" => serde_json::from_str(&text)
            .map_err(|_| Problem::new(ProblemKind::Invalid, "`only` is a JSON list of names"))?,
        "serverVariables" => credentials(&text).ok_or_else(|| {
            let detail = "`serverVariables` is a JSON object of variable to value, or has one \
                          NAME=VALUE a line";
            Problem::new(ProblemKind::Invalid, detail)
        })?,
        "allowUpstream" | "tags" => {
            let rules = text
                .split([',', '\n'])
                .map(str::trim)
                .filter(|rule| !rule.is_empty());
            Value::Array(rules.map(Value::from).collect())
        }
        _ => Value::String(text),
    })
}

fn credentials(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.starts_with('{') {
        let value: Value = serde_json::from_str(text).ok()?;
        return value
            .as_object()?
            .values()
            .all(Value::is_string)
            .then_some(value);
    }
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let pairs = lines.map(|line| {
        let (scheme, value) = line.split_once('=')?;
        Some((scheme.trim().to_owned(), Value::from(value.trim())))
    });
    Some(Value::Object(pairs.collect::<Option<Map<_, _>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::live::StoredModel;

    #[tokio::test]
    async fn what_does_not_fit_is_named_by_its_place() {
        for (body, place) in [
            (
                r#"{"targets":[{"provider":"a"},{"provider":"b","tier":999999999999}]}"#,
                "targets[1].tier: invalid value",
            ),
            (r#"{"targets":[],"retries":-1}"#, "retries: invalid value"),
            (
                r#"{"targets":[],"canary":{"targets":[{"provider":5}]}}"#,
                "canary.targets[0].provider: invalid type",
            ),
            (
                r#"{"targets":[],"limits":[{"unit":"euros"}]}"#,
                "limits[0].unit",
            ),
            (r#"{"targets":[],"tries":1}"#, "unknown field `tries`"),
        ] {
            let request = Request::post("/").header(CONTENT_TYPE, "application/json");
            let request = request.body(axum::body::Body::from(body)).unwrap();
            let read = Body::<StoredModel>::from_request(request, &()).await;
            let problem = read.err().unwrap();
            assert!(problem.detail.contains(place), "{}", problem.detail);
            assert!(problem.detail.starts_with("the body does not fit: "));
        }
    }
}
