//! One call being carried out: what it may use, and the stages that touch the network.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use serde_json::value::RawValue;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::timeout_at;
use url::Url;

use crate::access::caller::{Caller, OnBehalf, Target};
use crate::access::limit::{Asked, Cost, Of};
use crate::credential::pass::{self, PassError};
use crate::credential::{self, CredentialError, Identity, IdentityError, Mask};
use crate::egress::{Arrived, EgressError, Patience, Upstream, Watch, redirect_target};
use crate::mcp::call::Mcp;
use crate::mcp::call::account::Account;
use crate::mcp::call::failure::Failure;
use crate::mcp::call::held::Held;
use crate::mcp::content::Rendered;
use crate::mcp::plan::{Aids, Linked, Links, accept, base_url};
use crate::mcp::provider::{Arguments, CallContext, CallError, CallOutcome, Content, ResourceBody};
use crate::mcp::server::{ApiProvider, MANAGEMENT, Provider, Server};
use crate::mcp::template::Moment;
use crate::mcp::tool::Tool;
use crate::openapi::SecurityRequirement;
use crate::policy::Subject;
use crate::types::{UpstreamRequest, UpstreamResponse};

/// Earlier answers that one call may send as files.
const LINKS_MAX: usize = 16;
/// Redirects within the API's own origin, for requests that change nothing.
const REDIRECTS_MAX: usize = 3;

/// A call that is allowed, with everything it needs.
#[derive(Clone, Copy)]
pub(crate) struct Work<'a> {
    pub(crate) cx: &'a Mcp,
    pub(crate) caller: &'a Caller,
    pub(crate) server: &'a Server,
    pub(crate) tool: &'a Arc<Tool>,
    /// The tool's place in the server's list.
    pub(crate) place: usize,
    pub(crate) context: &'a CallContext,
    /// The client's deadline or the server's, whichever comes first.
    pub(crate) deadline: Instant,
}

/// How one request is sent.
#[derive(Clone, Copy)]
pub(crate) struct Way<'w> {
    patience: Patience<'w>,
    watch: &'w Watch<'w>,
    /// To where the API said, and not as it was planned.
    redirected: bool,
}

impl<'a> Work<'a> {
    /// Finds the tool and asks whether the caller may use it.
    ///
    /// # Errors
    /// [`CallError::UnknownTool`] in both cases: what a caller may not use does not exist for it.
    pub(crate) fn admit(
        cx: &'a Mcp,
        caller: &'a Caller,
        server: &'a Server,
        name: &str,
        context: &'a CallContext,
    ) -> Result<Self, CallError> {
        let target = Target {
            organization: server.organization,
            server: server.id,
            access: server.settings.access,
            owner: server.owner,
        };
        let (place, _, tool) = server
            .tools
            .get_full(name)
            .filter(|(_, _, tool)| caller.may(target, Some(&tool.def.operation)))
            .ok_or_else(|| CallError::UnknownTool(name.to_owned()))?;
        let timeout = Duration::from_millis(server.settings.call_timeout_ms);
        Ok(Self {
            cx,
            caller,
            server,
            tool,
            place,
            context,
            deadline: context.deadline.min(Instant::now() + timeout),
        })
    }

    /// The same with more time: the user was waited for, not the API.
    pub(crate) fn later(&self, waited: Duration) -> Self {
        Self {
            deadline: self.deadline + waited,
            ..*self
        }
    }

    /// What filters are told.
    pub(crate) fn subject(&self) -> Subject<'a> {
        Subject {
            caller: self.caller,
            server: self.server.id,
            tool: Some(self.tool.def.name.as_str()),
            trace_id: &self.context.trace_id,
        }
    }

    /// What its limits are asked.
    pub(crate) fn asked(&self) -> Asked<'a> {
        Asked {
            caller: self.caller,
            of: Of::Tool {
                server: self.server.id,
                name: self.tool.def.name.as_str(),
            },
            limits: &self.server.settings.limits,
            peer: self.context.peer,
            cost: self.cost(1),
        }
    }

    /// What a call costs that is sent, and whose answer has so many tokens.
    pub(crate) fn cost(&self, tokens: u64) -> Cost {
        let micros = self.server.settings.call_price_micros.unwrap_or_default();
        Cost {
            tokens,
            nanos: micros.saturating_mul(1_000),
        }
    }

    /// Hides the server's credentials, the access tokens that were got with them, and what is the caller's
    /// own: what was attached for its user, and what it has passed on.
    pub(crate) fn mask(&self) -> Cow<'a, Mask> {
        let held = self.mask_of_server();
        let held = match self.context.own.mask() {
            Some(own) => Cow::Owned(own.with(&held)),
            None => held,
        };
        match self.context.passed.mask() {
            Some(passed) => Cow::Owned(passed.with(&held)),
            None => held,
        }
    }

    fn mask_of_server(&self) -> Cow<'a, Mask> {
        match &self.server.provider {
            Provider::Api(api) if api.sources.is_empty() => Cow::Borrowed(api.credentials.mask()),
            Provider::Api(api) => {
                let tokens = self.cx.tokens.mask(api.sources.values());
                Cow::Owned(tokens.with(api.credentials.mask()))
            }
            Provider::Native(_) => Cow::Borrowed(Mask::none()),
        }
    }

    /// The request, without a credential.
    pub(crate) async fn plan(
        &self,
        api: &ApiProvider,
        arguments: &Arguments,
        account: &mut Account<'_>,
    ) -> Result<UpstreamRequest, Failure> {
        let settings = &self.server.settings;
        let base = base_url(
            &self.tool.def,
            settings.destination(api.document_url.as_ref()),
        )?;
        let size = arguments.as_ref().map_or(0, |raw| raw.get().len());
        let accepted = aside(size, || accept(self.tool, arguments))?;
        let aids = Aids {
            links: self.linked(accepted.links()).await,
            moment: self.moment(),
        };
        let planned = aside(size, || accepted.plan(&base, &aids))?;
        account.planned(planned.healed);
        Ok(planned.request)
    }

    /// The kept answers that file arguments link to, as far as they are there and the caller's own.
    async fn linked(&self, uris: Vec<String>) -> Links {
        let mut linked = Links::new();
        for uri in uris.into_iter().take(LINKS_MAX) {
            if let Some(kept) = self.cx.answers.at(self.caller, &uri).await {
                let found = Linked {
                    media_type: Some(kept.media_type),
                    filename: None,
                    bytes: kept.bytes,
                };
                linked.insert(uri, found);
            }
        }
        linked
    }

    /// What templates are told of the time and of chance.
    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: self.cx.clock.now(),
            seed: uuid::Uuid::now_v7().as_u128(),
        }
    }

    /// What is to be written into a request to its origin: headers of the caller's, and the security
    /// they leave to be answered.
    pub(crate) fn signing(
        &self,
        api: &ApiProvider,
        request: &UpstreamRequest,
    ) -> Result<(HeaderMap, Cow<'a, [SecurityRequirement]>), PassError> {
        let security = &self.tool.def.binding.security;
        let mappings = &self.server.settings.pass_through;
        let origin = request.url.origin().ascii_serialization();
        let headers = pass::headers(mappings, &self.context.passed, &origin)?;
        let left = pass::unanswered(security, &api.schemes, &headers);
        Ok((headers, left))
    }

    /// The connections that show a client certificate, as long as it is good.
    pub(crate) fn identified<'u>(
        &self,
        api: &'u ApiProvider,
        (scheme, identity): (&str, &Identity),
    ) -> Result<&'u Upstream, CredentialError> {
        let unusable = |reason| CredentialError::Unusable {
            scheme: scheme.to_owned(),
            reason,
        };
        match identity.check_at(self.cx.clock.now()) {
            Err(IdentityError::Expired { .. }) => Err(unusable(
                "its client certificate has expired; the server's owner can enter a new one",
            )),
            Err(_) => Err(unusable("its client certificate is not valid yet")),
            Ok(()) => api
                .identified
                .get(scheme)
                .ok_or_else(|| unusable("there are no connections for its client certificate")),
        }
    }

    /// The request as a trace shows it: a mark where its credential stands.
    pub(crate) fn shown(&self, api: &ApiProvider, request: &UpstreamRequest) -> UpstreamRequest {
        // What cannot be passed on has stopped the call before.
        let signing = self.signing(api, request);
        let security = &self.tool.def.binding.security;
        let (headers, left) = signing.unwrap_or((HeaderMap::new(), Cow::Borrowed(security)));
        let mut shown =
            credential::attach_marks(request.clone(), &left, &api.schemes, &api.credentials);
        pass::apply_marks(&mut shown, headers);
        shown
    }

    /// The same after a redirect, whose URL is the API's word and may repeat a secret.
    fn shown_redirected(&self, api: &ApiProvider, request: &UpstreamRequest) -> UpstreamRequest {
        let mut shown = self.shown(api, request);
        if let Cow::Owned(clean) = self.mask().text(shown.url.as_str()) {
            shown.url = Url::parse(&clean).unwrap_or_else(|_| {
                let mut origin = shown.url.clone();
                origin.set_path("/");
                origin.set_query(None);
                origin
            });
        }
        shown
    }

    /// Sends. A redirect within the origin is followed where repeating the request is safe; one to
    /// another origin is never followed, and the credential stays here. Where the API refuses an access
    /// token, a request that may be repeated is sent once more with another one.
    pub(crate) async fn send(
        &self,
        api: &ApiProvider,
        mut request: UpstreamRequest,
        account: &mut Account<'_>,
    ) -> Result<UpstreamResponse, Failure> {
        let safe = matches!(request.method, Method::GET | Method::HEAD);
        let began = account.mark();
        let got = Held::of(self, api, &request).await;
        account.spent(began, "authenticate");
        let mut held = got?;
        let patience = Patience {
            deadline: self.deadline,
            cancel: &self.context.cancel,
        };
        let progress = self.context.progress.clone();
        // MCP: "The progress value MUST increase with each notification", whatever is sent again.
        let told = AtomicUsize::new(0);
        let watch = move |arrived: Arrived| {
            if told.fetch_max(arrived.events, Ordering::Relaxed) >= arrived.events {
                return;
            }
            let message = format!("{} events, {} bytes", arrived.events, arrived.bytes);
            progress.report(arrived.events as f64, None, Some(message));
        };
        for redirects_left in (0..=REDIRECTS_MAX).rev() {
            let origin = request.url.origin();
            let way = Way {
                patience,
                watch: &watch,
                redirected: redirects_left < REDIRECTS_MAX,
            };
            let mut response = self.send_repeating(&held, &request, account, way).await?;
            if held.renewed(self, &request.method, response.status).await? {
                response = self.send_repeating(&held, &request, account, way).await?;
            }
            match redirect_target(&request.url, &response) {
                Some(next) if next.origin() != origin => {
                    return Err(Failure::Redirected {
                        from: origin.ascii_serialization(),
                        to: next.origin().ascii_serialization(),
                    });
                }
                Some(next) if safe && redirects_left > 0 => {
                    request.url = next;
                    // Filters see every request that leaves.
                    let policies = &self.cx.policies;
                    policies
                        .upstream_request(self.subject(), &mut request)
                        .await?;
                }
                _ => return Ok(response),
            }
        }
        Err(Failure::RedirectedTooOften)
    }

    /// Sends one request with its credential.
    pub(crate) async fn send_once(
        &self,
        held: &Held<'_>,
        request: &UpstreamRequest,
        account: &mut Account<'_>,
        way: Way<'_>,
    ) -> Result<Result<UpstreamResponse, EgressError>, Failure> {
        let (mut attached, upstream) = held.attach(self, request.clone())?;
        let leaving = account.leaving(self, &mut attached);
        account.sending(|| {
            if way.redirected {
                self.shown_redirected(held.api, request)
            } else {
                self.shown(held.api, request)
            }
        });
        let egress = &self.cx.egress;
        let told = self.told(upstream);
        let upstream = told.as_ref().unwrap_or(upstream);
        let sent = egress
            .send_watched(upstream, attached, way.patience, way.watch)
            .await;
        account.arrived(leaving, &sent);
        if let Ok(response) = &sent {
            account.answered(response);
        }
        Ok(sent)
    }

    /// The management API inside this process, which is told who calls instead of being shown a key.
    fn told(&self, upstream: &Upstream) -> Option<Upstream> {
        let internal = self.server.settings.internal.as_deref();
        (internal == Some(MANAGEMENT)).then(|| upstream.telling(OnBehalf(self.caller.clone())))
    }

    /// A native tool under the same deadline and cancellation as the network.
    pub(crate) async fn in_time(
        &self,
        call: impl Future<Output = Result<CallOutcome, CallError>>,
    ) -> Result<CallOutcome, Failure> {
        tokio::select! {
            biased;
            () = self.context.cancel.cancelled() => Err(Failure::NotRun(CallError::Cancelled)),
            result = timeout_at(self.deadline.into(), call) => match result {
                Ok(result) => result.map_err(Failure::NotRun),
                Err(_) => Err(Failure::TimedOut),
            },
        }
    }
}

/// What was not JSON in UTF-8 may show its text only once it is decoded (by a charset, a byte order
/// mark, or what an XML document says of itself), so it is masked again; and so is everything
/// that is said beside an answer, which is made of decoded parts of it.
pub(crate) fn mask_decoded(mask: &Mask, response: &UpstreamResponse, rendered: &mut Rendered) {
    let as_written = rendered.outcome.content.len() == 1 && !rendered.outcome.is_error;
    if mask.is_empty() || (as_written && is_plain_json(response)) {
        return;
    }
    let outcome = &mut rendered.outcome;
    for content in &mut outcome.content {
        if let Content::Text(text) = content {
            *text = mask.text(text).into_owned();
        } else if let Content::Resource(resource) = content
            && let ResourceBody::Text(text) = &mut resource.body
        {
            *text = mask.text(text).into_owned();
        }
    }
    outcome.structured = outcome
        .structured
        .take()
        .and_then(|value| RawValue::from_string(mask.text(value.get()).into_owned()).ok());
    outcome.meta = outcome
        .meta
        .take()
        .and_then(|meta| serde_json::from_str(&mask.text(&meta.to_string())).ok());
    if let Some(whole) = &mut rendered.whole {
        whole.bytes = mask.bytes(whole.bytes.clone());
    }
}

/// Arguments longer than this are worked on while other calls go on elsewhere.
const ASIDE_BYTES_MIN: usize = 16 << 10;

/// Does what keeps the thread busy. Where that may take long, the other tasks of the thread are given to
/// another one first; a runtime of one thread has none.
pub(crate) fn aside<T>(size: usize, work: impl FnOnce() -> T) -> T {
    let several = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    if size >= ASIDE_BYTES_MIN && several {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// Whether the bytes of an answer are what the model will read: JSON in UTF-8, as most answers are.
fn is_plain_json(response: &UpstreamResponse) -> bool {
    let content_type = response.headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let (essence, parameters) = content_type
        .map(|text| text.split_once(';').unwrap_or((text, "")))
        .unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let parameters = parameters.trim().to_ascii_lowercase();
    let utf8 = matches!(
        &*parameters,
        "" | "charset=utf-8" | "charset=\"utf-8\"" | "charset=utf8"
    );
    let json = essence == "application/json" || essence.ends_with("+json");
    json && utf8 && std::str::from_utf8(&response.body).is_ok_and(|text| !text.contains('\0'))
}
