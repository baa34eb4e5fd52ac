//! A form that was sent: what every handler of one begins with.

use axum::extract::{FromRequest, FromRequestParts, RawForm, Request};
use axum::response::{IntoResponse, Response};

use crate::access::person::Person;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::language::Language;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::routes::{failure, writer};

/// What somebody who is signed in sent from a page they were shown: whatever else is sent gets the page that
/// says why it did nothing. `F` is `Fields` or, where a name may come more than once, `Entered`.
pub(super) struct Submitted<F> {
    pub(super) visitor: Visitor,
    pub(super) person: Person,
    pub(super) form: F,
}

/// The answer to a form that did nothing.
pub(super) struct Refused(Box<Response>);

impl From<Response> for Refused {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl<F: FromIterator<(String, String)>> FromRequest<Market> for Submitted<F> {
    type Rejection = Refused;

    async fn from_request(request: Request, market: &Market) -> Result<Self, Refused> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, market).await;
        let visitor = visitor.map_err(IntoResponse::into_response)?;
        let request = Request::from_parts(parts, body);
        let pairs = match RawForm::from_request(request, market).await {
            Ok(RawForm(bytes)) => pairs(&bytes),
            Err(rejection) => {
                let said = Language::of(&visitor).say("failure-unread");
                let said = said.with("reason", rejection.body_text());
                return Err(failure(market, &visitor, rejection.status(), said).into());
            }
        };
        let person = writer(market, &visitor, entered(&pairs, "csrf")).map_err(Refused)?;
        Ok(Self {
            visitor,
            person,
            form: pairs.into_iter().collect(),
        })
    }
}

fn pairs(bytes: &[u8]) -> Entered {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}
