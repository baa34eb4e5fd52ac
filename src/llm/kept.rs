//! Files and batches that callers keep at a provider, in OpenAI's protocol: passed on to the one that is chosen, and
//! found by whoever made them only. To everybody else they are not there.

mod forget;
pub mod list;
mod make;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::limit::Cost;
use crate::egress::Upload;
use crate::llm::account::Account;
use crate::llm::dialect::Dialect;
use crate::llm::exchange::{of_egress, own_headers};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::forward::PassedBody;
use crate::llm::kept::list::ListQuery;
use crate::llm::live::LiveProvider;
use crate::llm::provider::Capability;
use crate::llm::proxy::Llm;
use crate::llm::reserve::{Admitted, From, Reservation, admit_through};
use crate::llm::through::{Call, Came, JSON, Passing, failed, on_its_own};
use crate::llm::watch::Opening;
use crate::store::StoreError;
use crate::store::provider_objects::Place;
use crate::types::{OrganizationId, Parent, UpstreamRequest};

/// How much is read of what a provider says of a file or of a batch, and of what one is made of.
const OBJECT_BYTES_MAX: usize = 1 << 20;
const ID_LENGTH_MAX: usize = 200;
const TOTAL_TIME: Duration = Duration::from_mins(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Batch,
}

/// What is wanted.
pub enum Act {
    Create(Upload),
    List(ListQuery),
    Show(String),
    Content(String),
    /// Of a batch, which a provider keeps as long as it likes: that it is the caller's.
    Delete(String),
    Cancel(String),
}

/// A request about a file or a batch.
pub struct Wish {
    pub kind: Kind,
    pub act: Act,
    /// The provider, by its name; absent: the only one there is.
    pub provider: Option<String>,
    pub content_type: Option<HeaderValue>,
    pub length: Option<HeaderValue>,
    /// Where it came from, if over a network.
    pub peer: Option<std::net::IpAddr>,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// The span of the caller's that it belongs to.
    pub parent: Option<Parent>,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Batch => "batch",
        }
    }

    fn capability(self) -> Capability {
        match self {
            Self::File => Capability::Files,
            Self::Batch => Capability::Batches,
        }
    }
}

impl Act {
    /// Whether a provider has something more or less after it.
    fn changes(&self) -> bool {
        matches!(self, Self::Create(_) | Self::Delete(_) | Self::Cancel(_))
    }
}

/// One request while it is carried out.
struct Work {
    cx: Arc<Llm>,
    organization: OrganizationId,
    provider: Arc<LiveProvider>,
    kind: Kind,
    /// Whose things are seen.
    owner: String,
    deadline: Instant,
}

/// What is asked of the provider.
struct Asking {
    method: Method,
    /// Below the address of files, or of batches.
    rest: String,
    headers: HeaderMap,
    body: Option<Upload>,
    /// The key it was made with.
    key: Option<Uuid>,
}

/// Carries out a request. It is accounted for exactly once.
///
/// # Errors
/// Where there is no such thing of the caller's, or no provider that keeps any, or it does not answer.
pub async fn keep(cx: &Arc<Llm>, caller: &Caller, wish: Wish) -> Result<Came, Fault> {
    if !caller.may_ask_everything() {
        let text = "this key is for some servers or models only; files need a key for everything";
        return Err(Fault::new(FaultClass::Forbidden, text));
    }
    let provider = chosen(cx, caller, &wish)?;
    let name = format!("{}/*", provider.name);
    let opening = Opening {
        model: &name,
        operation: wish.kind.capability_name(),
        trace_id: &wish.trace_id,
        parent: wish.parent,
    };
    let mut account = Account::begin(cx, caller, &opening);
    let from = From {
        caller,
        peer: wish.peer,
    };
    let admitted = admit_through(cx, from, &provider.name).await;
    let Admitted {
        model, reservation, ..
    } = admitted.inspect_err(|fault| account.failed(fault))?;
    account.admitted(cx, &model, &[]);
    let work = Work {
        cx: cx.clone(),
        organization: caller.organization,
        provider,
        kind: wish.kind,
        owner: owner(caller),
        deadline: Instant::now() + TOTAL_TIME,
    };
    let open = (account, reservation);
    if !wish.act.changes() {
        return work.answered(wish, open).await;
    }
    // What is made at a provider is noted, whoever leaves.
    on_its_own(cx, work.answered(wish, open)).await
}

/// Whose what a caller makes is.
fn owner(caller: &Caller) -> String {
    match (caller.consumer, caller.user) {
        (Some(consumer), _) => format!("consumer:{}", consumer.0),
        (None, Some(user)) => format!("user:{}", user.0),
        (None, None) => "organization".to_owned(),
    }
}

/// The provider that is named, or the only one that keeps such things.
fn chosen(cx: &Llm, caller: &Caller, wish: &Wish) -> Result<Arc<LiveProvider>, Fault> {
    let keeps = |provider: &&Arc<LiveProvider>| {
        let speaks = matches!(
            provider.provider.dialect,
            Dialect::OpenaiChat | Dialect::OpenaiResponses
        );
        provider.files && speaks && provider.provider.can(wish.kind.capability())
    };
    let mut found: Vec<Arc<LiveProvider>> = cx.models.seeing(caller.organization, |offer| {
        let named = |provider: &&Arc<LiveProvider>| {
            let name = wish.provider.as_ref();
            name.is_none_or(|name| *name == provider.name)
        };
        let all = offer.providers.values().filter(keeps).filter(named);
        all.cloned().collect()
    });
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Fault::invalid(
            "provider",
            "several providers keep these: name one, in the header `x-causeway-provider` or as `?provider=`",
        )),
        (None, _) => Err(Fault::new(
            FaultClass::Unsupported,
            format!(
                "no provider keeps {} for callers here; an admin opens one with its setting `files`",
                wish.kind.capability_name()
            ),
        )),
    }
}

/// What a request came to.
enum Done {
    Object(Bytes),
    Passing(Box<Passing>),
}

impl Done {
    fn passing(passing: Passing) -> Self {
        Self::Passing(Box::new(passing))
    }
}

impl Work {
    async fn answered(
        self,
        wish: Wish,
        (mut account, reservation): (Account, Reservation),
    ) -> Result<Came, Fault> {
        match self.carry_out(wish, &mut account).await {
            Ok(Done::Object(body)) => Ok(self.answer(body, (account, reservation)).await),
            Ok(Done::Passing(passing)) => passing.go_on(&self.cx, (account, reservation)).await,
            Err(fault) => Err(failed(fault, (account, reservation)).await),
        }
    }

    fn place(&self, kind: Kind) -> Place<'_> {
        Place {
            organization: self.organization,
            provider: &self.provider.name,
            owner: &self.owner,
            kind: kind.name(),
        }
    }

    async fn carry_out(&self, wish: Wish, account: &mut Account) -> Result<Done, Fault> {
        let Wish {
            content_type,
            length,
            act,
            ..
        } = wish;
        match act {
            Act::Create(body) => {
                let mut headers = HeaderMap::new();
                headers.insert(CONTENT_TYPE, content_type.unwrap_or(JSON));
                if let Some(length) = length {
                    headers.insert(CONTENT_LENGTH, length);
                }
                self.create((headers, body), account).await
            }
            Act::List(query) => Ok(Done::Object(self.list(&query, account).await?)),
            Act::Show(id) => self.about(Method::GET, (&id, ""), account).await,
            Act::Cancel(id) => self.about(Method::POST, (&id, "/cancel"), account).await,
            Act::Delete(id) => self.delete(&id, account).await,
            Act::Content(id) => {
                let asking = self.asking(Method::GET, (&id, "/content")).await?;
                Ok(Done::passing(self.send(asking, account).await?))
            }
        }
    }

    /// What a batch says of itself, or a file.
    async fn about(
        &self,
        method: Method,
        (id, rest): (&str, &str),
        account: &mut Account,
    ) -> Result<Done, Fault> {
        let asking = self.asking(method, (id, rest)).await?;
        let key = asking.key;
        let passing = self.send(asking, account).await?;
        if !passing.opened.status.is_success() {
            return Ok(Done::passing(passing));
        }
        let said = passing.whole(OBJECT_BYTES_MAX).await;
        let said = said.map_err(|error| of_egress(&error))?;
        self.note_results((&said, key)).await?;
        Ok(Done::Object(said))
    }

    /// What is asked about something of the caller's.
    async fn asking(&self, method: Method, (id, rest): (&str, &str)) -> Result<Asking, Fault> {
        let key = self.own(self.kind, id).await?;
        Ok(Asking {
            method,
            rest: format!("/{id}{rest}"),
            headers: HeaderMap::new(),
            body: None,
            key,
        })
    }

    /// The key that something of the caller's was made with.
    async fn own(&self, kind: Kind, id: &str) -> Result<Option<Uuid>, Fault> {
        if !is_id(id) {
            return Err(missing(kind, id));
        }
        let row = self.cx.store.provider_object(self.place(kind), id);
        let row = row.await.map_err(uncounted)?;
        Ok(row.ok_or_else(|| missing(kind, id))?.provider_key_id)
    }

    fn call(&self, key: Option<Uuid>, url: &Url) -> Call<'_> {
        Call {
            cx: &self.cx,
            provider: &self.provider,
            key: self.provider.key_for(key, url),
            deadline: self.deadline,
        }
    }

    /// Below the address of files, or of batches.
    fn url(&self, rest: &str) -> Result<Url, Fault> {
        let url = self.provider.url(self.kind.capability(), "", false);
        let mut url = url.map_err(|error| Fault::new(FaultClass::Internal, error.to_string()))?;
        let path = format!("{}{rest}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(url)
    }

    fn request(&self, asking: &Asking) -> Result<UpstreamRequest, Fault> {
        let mut headers = own_headers(&self.provider.provider);
        headers.extend(asking.headers.clone());
        Ok(UpstreamRequest {
            method: asking.method.clone(),
            url: self.url(&asking.rest)?,
            headers,
            body: Bytes::new(),
        })
    }

    async fn send(&self, asking: Asking, account: &mut Account) -> Result<Passing, Fault> {
        let request = self.request(&asking)?;
        let call = self.call(asking.key, &request.url);
        call.send((request, asking.body), account).await
    }

    async fn answer(
        &self,
        body: Bytes,
        (mut account, reservation): (Account, Reservation),
    ) -> Came {
        account.passed(&body);
        account.done();
        let provider_request = account.provider_request().map(Box::from);
        drop(account);
        reservation.settle(Cost::default()).await;
        Came {
            status: 200,
            headers: [(CONTENT_TYPE, JSON)].into_iter().collect(),
            target: self.provider.name.clone(),
            provider_request,
            body: PassedBody::Whole(body),
        }
    }
}

impl Kind {
    fn capability_name(self) -> &'static str {
        match self {
            Self::File => "files",
            Self::Batch => "batches",
        }
    }
}

/// Whether it can be part of a path as it is.
fn is_id(id: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !id.is_empty() && id.len() <= ID_LENGTH_MAX && id.bytes().all(fits) && !id.starts_with('.')
}

fn missing(kind: Kind, id: &str) -> Fault {
    let shown: String = id.chars().take(100).collect();
    Fault {
        code: Some("not_found".to_owned()),
        ..Fault::new(
            FaultClass::NotFound,
            format!("there is no {} `{shown}` of yours", kind.name()),
        )
    }
}

fn uncounted(error: StoreError) -> Fault {
    tracing::warn!(error = %error, "whose files and batches are cannot be read or written now");
    let text = "whose this is cannot be told now; ask again";
    Fault::new(FaultClass::Overloaded, text)
}
