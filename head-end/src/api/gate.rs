//! The gate in front of every service: who calls, whether they may, whose meters they touch, and the audit log.

use std::{
    future::Future,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, header, request::Parts};
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use prost_reflect::DynamicMessage;
use tonic::{Code, Status, body::Body};
use tower::{Layer, Service};

use super::{
    ApiCounts, audit, frame,
    incoming::Peer,
    schema::{Mentioned, Schema},
    security::Security,
    status,
};
use crate::{
    access::{Caller, Credentials, Limiter, Method, Permission, Rate, Refused},
    group::GroupId,
    meter::MeterId,
    registry::Registry,
    store::{Store, StoreError},
};

/// Puts a gate in front of a service.
#[derive(Debug)]
pub(super) struct GateLayer<S>(pub(super) Arc<Watch<S>>);

/// What the gate asks.
#[derive(Debug)]
pub(super) struct Watch<S> {
    pub(super) security: Security,
    pub(super) schema: Schema,
    pub(super) registry: Arc<Registry<S>>,
    /// Calls of each caller.
    pub(super) calls: Limiter<Arc<str>>,
    /// Calls from each address that proved nothing.
    pub(super) refusals: Limiter<IpAddr>,
    pub(super) counts: Arc<ApiCounts>,
}

/// Calls without proof from one address: enough for clients that have an old token, too few to make us work.
pub(super) const REFUSALS: Rate = Rate { per_second: 5, burst: 100 };

/// A service behind the gate. Every call that it gets has its [`Caller`] among the extensions of its request.
#[derive(Debug)]
pub(super) struct Gate<I, S> {
    inner: I,
    watch: Arc<Watch<S>>,
}

impl<S> Clone for GateLayer<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I: Clone, S> Clone for Gate<I, S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), watch: Arc::clone(&self.watch) }
    }
}

impl<I, S> Layer<I> for GateLayer<S> {
    type Service = Gate<I, S>;

    fn layer(&self, inner: I) -> Gate<I, S> {
        Gate { inner, watch: Arc::clone(&self.0) }
    }
}

/// The future of a call.
type Answer<E> = Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>;

impl<I, S> Service<Request<Body>> for Gate<I, S>
where
    I: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    I::Future: Send,
    I::Error: Send,
    S: Store,
{
    type Response = Response<Body>;
    type Error = I::Error;
    type Future = Answer<I::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), I::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that was found ready.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let watch = Arc::clone(&self.watch);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let (method, caller) = match watch.admit(&head).await {
                Ok(admitted) => admitted,
                Err(status) => {
                    watch.refused(head.uri.path(), status.code());
                    return Ok(status.into_http());
                }
            };
            let (body, audited) = match watch.look(method, &caller, &head, body).await {
                Ok(looked) => looked,
                Err(status) => {
                    watch.counts.answered(method, status.code());
                    return Ok(status.into_http());
                }
            };
            head.extensions.insert(caller);
            let known = watch.schema.method(head.uri.path());
            let streams = known.is_some_and(|known| known.is_server_streaming());
            let answer = inner.call(Request::from_parts(head, body)).await;
            if let (Ok(response), true) = (&answer, streams || audited.is_none()) {
                // What fails has its status in the head.
                let status = Status::from_header_map(response.headers());
                watch.counts.answered(method, status.map_or(Code::Ok, |status| status.code()));
            }
            match (answer, audited) {
                (Ok(response), Some(audited)) if streams => {
                    // How a stream ends is not waited for: what was changed is settled when it begins.
                    let status = Status::from_header_map(response.headers());
                    audited.end(status.map_or(Code::Ok, |status| status.code())).await;
                    Ok(response)
                }
                (Ok(response), Some(audited)) => {
                    let (response, code) = settled(response).await;
                    watch.counts.answered(method, code);
                    audited.end(code).await;
                    Ok(response)
                }
                (answer, _) => answer,
            }
        })
    }
}

impl<S: Store> Watch<S> {
    /// Counts a call that was not admitted; one of a method that does not exist has no place.
    fn refused(&self, path: &str, code: Code) {
        if let Some(method) = Method::of(path) {
            self.counts.answered(method, code);
        }
    }

    /// Who makes this call, if they may.
    async fn admit(&self, head: &Parts) -> Result<(&'static Method, Caller), Status> {
        let path = head.uri.path();
        let method = Method::of(path).ok_or_else(|| status::no_method(path))?;
        let caller = match &self.security.callers {
            None => Caller::local(),
            Some(_) if method.permission == Permission::Open => Caller::nobody(),
            Some(callers) => {
                let peer = head.extensions.get::<Peer>().and_then(|peer| peer.address).map(|address| address.ip());
                if let Some(peer) = &peer {
                    self.refusals.check(peer).map_err(status::too_often)?;
                }
                let found = match credentials(head) {
                    Ok(credentials) => callers.get().caller(credentials, Timestamp::now()).await,
                    Err(refused) => Err(refused),
                };
                let caller = found.map_err(|refused| {
                    // Whether there was one left does not matter: the next call finds out.
                    let _ = peer.map(|peer| self.refusals.take(peer));
                    tracing::info!(?peer, method = method.path, reason = refused.0, "a call was not authenticated");
                    status::unauthenticated(refused)
                })?;
                self.calls.take(Arc::clone(&caller.subject)).map_err(status::too_often)?;
                caller
            }
        };
        if method.permission == Permission::Open || caller.may(method.permission) {
            Ok((method, caller))
        } else {
            tracing::info!(subject = &*caller.subject, method = method.path, "a call was not permitted");
            Err(status::forbidden(method, &caller))
        }
    }

    /// Looks into a call that changes something, and into each of a caller who does not see all meters.
    async fn look(
        &self,
        method: &'static Method,
        caller: &Caller,
        head: &Parts,
        body: Body,
    ) -> Result<(Body, Option<audit::Open<S>>), Status> {
        let Some(known) = self.schema.method(head.uri.path()) else { return Ok((body, None)) };
        if !method.changes && caller.tenant.is_none() {
            return Ok((body, None));
        }
        let (mentioned, body) = if known.is_client_streaming() {
            // Its messages are not looked into here: only a method that minds tenants by itself gets them.
            if caller.tenant.is_some() && !method.scoped {
                return Err(status::not_for_tenants(method));
            }
            (Mentioned::default(), body)
        } else {
            let (message, body) = frame::read(body).await?;
            let message = DynamicMessage::decode(known.input(), message);
            (Mentioned::of(&message.map_err(|error| status::unreadable(&error.to_string()))?), body)
        };
        self.check_tenant(method, caller, &mentioned).await?;
        if !method.changes {
            return Ok((body, None));
        }
        let peer = head.extensions.get::<Peer>();
        let store = self.registry.store();
        Ok((body, Some(audit::begin(store, method, caller, &mentioned, peer).await?)))
    }

    /// A meter of somebody else is answered like one that is not there.
    async fn check_tenant(&self, method: &Method, caller: &Caller, mentioned: &Mentioned) -> Result<(), Status> {
        if caller.tenant.is_none() {
            return Ok(());
        }
        // What is no name of a meter is told by the service.
        for id in mentioned.meters().filter_map(|id| MeterId::try_new(id).ok()) {
            let found = self.registry.owner(&id).await.map_err(|error| status::registry(&error, Some(&id)))?;
            let visible = match found {
                Some(owner) => caller.sees(owner.as_ref()),
                None => method.creates,
            };
            if !visible {
                return Err(status::no_meter(&id));
            }
        }
        for name in mentioned.names.iter().filter(|name| name.starts_with("groups/")) {
            let Ok(id) = GroupId::from_resource_name(name) else { continue };
            let found = self.registry.store().group(id.as_str()).await;
            let visible = match found.map_err(|error| status::store(&error, None))? {
                Some(group) => caller.sees(group.tenant.as_ref()),
                None => method.creates,
            };
            if !visible {
                return Err(status::store(&StoreError::NotFound(id.resource_name()), None));
            }
        }
        if !method.scoped && !mentioned.is_of_meters_alone() {
            return Err(status::not_for_tenants(method));
        }
        Ok(())
    }
}

/// A response whose outcome is known: that of a unary call comes behind its message.
async fn settled(response: Response<Body>) -> (Response<Body>, Code) {
    if let Some(status) = Status::from_header_map(response.headers()) {
        return (response, status.code());
    }
    let (head, body) = response.into_parts();
    match body.collect().await {
        Ok(collected) => {
            let trailers = collected.trailers().cloned();
            let code = trailers.as_ref().and_then(Status::from_header_map).map_or(Code::Ok, |status| status.code());
            let message = Full::new(collected.to_bytes());
            let body = message.with_trailers(async move { trailers.map(Ok) });
            (Response::from_parts(head, Body::new(body)), code)
        }
        Err(status) => (status.clone().into_http(), status.code()),
    }
}

fn credentials(head: &Parts) -> Result<Credentials<'_>, Refused> {
    const FORM: Refused = Refused("authorization is of the form: Bearer TOKEN, once");
    let mut headers = head.headers.get_all(header::AUTHORIZATION).iter();
    let bearer = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(value), None) => {
            let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(FORM);
            }
            Some(token.trim())
        }
        (Some(_), Some(_)) => return Err(FORM),
    };
    let certificate = head.extensions.get::<Peer>().and_then(|peer| peer.certificate.as_ref());
    Ok(Credentials { bearer, certificate })
}
