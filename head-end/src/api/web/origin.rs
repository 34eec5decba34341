//! Which web pages may call (CORS).
//!
//! A browser says in each call from which page it comes. A page that is not listed is refused before anything is done,
//! also where callers need no token: else any page in the browser of a machine could use what listens there.

use std::str::FromStr;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Deserialize;
use tonic::body::Body;

use super::answer;
use crate::api::status;

/// Pages that may call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Origins(Vec<HeaderValue>);

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origin = |text: &str| {
            let whole = text.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', ' ', '*'])
            });
            let value = HeaderValue::from_str(text).ok().filter(|_| whole);
            value.ok_or_else(|| format!("{text:?} is not an origin such as https://dashboard.example"))
        };
        text.split(',').map(|part| origin(part.trim())).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Origins {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What becomes of a call.
pub(super) enum Admitted {
    /// It goes on, for a page or for no page at all.
    From(Option<HeaderValue>),
    /// It was a question, or was refused.
    Answered(Response<Body>),
}

/// Headers of calls that pages may set, and headers of answers that they may see.
const REQUEST_HEADERS: &str = "authorization, content-type, x-grpc-web, x-user-agent, grpc-timeout";
const RESPONSE_HEADERS: &str = "grpc-status, grpc-message, grpc-status-details-bin";

impl Origins {
    pub(super) fn admit(&self, request: &Request<Body>) -> Admitted {
        let Some(origin) = request.headers().get(header::ORIGIN) else { return Admitted::From(None) };
        if !self.0.contains(origin) {
            tracing::info!(?origin, "a call from a web page was refused");
            return Admitted::Answered(answer::error(&status::foreign_page()));
        }
        let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() != Method::OPTIONS || !asks {
            return Admitted::From(Some(origin.clone()));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(REQUEST_HEADERS));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        allow(&mut response, Some(origin.clone()));
        Admitted::Answered(response)
    }
}

/// Lets the page see the answer.
pub(super) fn allow(response: &mut Response<Body>, origin: Option<HeaderValue>) {
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_whole_and_never_everybody() {
        let origins: Origins = "https://a.example, http://localhost:8080".parse().unwrap();
        assert_eq!(origins.0, ["https://a.example", "http://localhost:8080"]);
        for text in ["", "*", "https://*", "a.example", "https://a.example/", "null", "ftp://a", "https://a, "] {
            assert!(text.parse::<Origins>().is_err(), "{text}");
        }
    }

    #[test]
    fn pages_that_are_not_listed_are_refused_and_programs_are_not_pages() {
        let origins: Origins = "https://a.example".parse().unwrap();
        let call = |origin: Option<&str>| {
            let request = Request::post("/x");
            let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
            origins.admit(&request.body(Body::empty()).unwrap())
        };
        assert!(matches!(call(None), Admitted::From(None)));
        assert!(matches!(call(Some("https://a.example")), Admitted::From(Some(_))));
        for page in ["https://b.example", "http://a.example", "null", "https://a.example.evil"] {
            let Admitted::Answered(refused) = call(Some(page)) else { panic!("{page}") };
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
    }
}
