//! The way of a request: OCSP at once, everything else to whom it belongs.

use std::future::{Future, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::body::{BoxBody, EitherBody};
use actix_http::{HttpMessage as _, Method, Request, Response, StatusCode};
use actix_service::{Service, ServiceFactory};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Bytes;

use super::body::{NoBody, read};
use super::headers::{Caching, plain};
use crate::cache::{Asked, Form};
use crate::question::QuestionRefusal;
use crate::service::{OcspService, Step};

const REQUEST_TYPE: &str = "application/ocsp-request";

/// OCSP before an application that serves every other path.
pub struct Front<A> {
    service: Arc<OcspService>,
    others: A,
}

impl<A> Front<A> {
    /// Before `others`.
    pub fn new(service: Arc<OcspService>, others: A) -> Self {
        Self { service, others }
    }
}

type Body = EitherBody<Bytes, BoxBody>;
type Served = Pin<Box<dyn Future<Output = Result<Response<Body>, Error>>>>;

impl<A, B> ServiceFactory<Request> for Front<A>
where
    A: ServiceFactory<Request, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>,
    A::Service: 'static,
    A::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<Body>;
    type Error = Error;
    type Config = ();
    type Service = FrontService<A::Service>;
    type InitError = ();
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, ()>>>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let service = Arc::clone(&self.service);
        let others = self.others.new_service(());
        Box::pin(async move {
            let caching = Caching::new(service.settings().cache_seconds);
            Ok(FrontService { parts: Rc::new(Parts { service, caching }), others: others.await? })
        })
    }
}

/// One worker's.
pub struct FrontService<S> {
    parts: Rc<Parts>,
    others: S,
}

struct Parts {
    service: Arc<OcspService>,
    caching: Caching,
}

/// A response, there already or on its way.
pub enum Serving {
    /// There.
    Done(std::future::Ready<Result<Response<Body>, Error>>),
    /// On its way.
    Later(Served),
}

impl Future for Serving {
    type Output = Result<Response<Body>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Done(done) => Pin::new(done).poll(context),
            Self::Later(later) => later.as_mut().poll(context),
        }
    }
}

impl<S, B> Service<Request> for FrontService<S>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Serving;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.others.poll_ready(context)
    }

    fn call(&self, request: Request) -> Serving {
        let path = request.path();
        let Some(rest) = path.strip_prefix("/ocsp").filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            let served = self.others.call(request);
            return Serving::Later(Box::pin(async move {
                let response: Response<B> = served.await?.into();
                Ok(response.map_body(|_, body| EitherBody::right(BoxBody::new(body))))
            }));
        };
        let is_bare = rest.is_empty() || rest == "/";
        match *request.method() {
            Method::GET | Method::HEAD if !is_bare => self.parts.get(request),
            Method::POST if is_bare => {
                let parts = Rc::clone(&self.parts);
                Serving::Later(Box::pin(async move { Ok(parts.post(request).await.map_body(|_, body| EitherBody::left(body))) }))
            }
            _ => done(not_allowed(if is_bare { "POST" } else { "GET, HEAD" })),
        }
    }
}

fn done(response: Response<Bytes>) -> Serving {
    Serving::Done(ready(Ok(response.map_body(|_, body| EitherBody::left(body)))))
}

fn not_allowed(methods: &'static str) -> Response<Bytes> {
    let mut response = Response::with_body(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}

impl Parts {
    fn get(self: &Rc<Self>, request: Request) -> Serving {
        match self.service.begin(&asked(&request)) {
            Step::Replied(reply) => done(self.caching.respond(&request, reply)),
            Step::Look(inquiry) => {
                let parts = Rc::clone(self);
                Serving::Later(Box::pin(async move {
                    let reply = parts.service.finish_later(asked(&request), inquiry).await;
                    Ok(parts.caching.respond(&request, reply).map_body(|_, body| EitherBody::left(body)))
                }))
            }
        }
    }

    async fn post(&self, mut request: Request) -> Response<Bytes> {
        if !is_ocsp_request(request.headers()) {
            refused("wrong_content_type");
            return Response::with_body(StatusCode::UNSUPPORTED_MEDIA_TYPE, Bytes::new());
        }
        let settings = self.service.settings();
        let timeout = Duration::from_secs(u64::from(settings.body_timeout_seconds));
        let octets = match actix_web::rt::time::timeout(timeout, read(request.take_payload(), settings.max_request_octets)).await {
            Ok(Ok(octets)) => octets,
            Ok(Err(NoBody::TooLong)) => return plain(self.service.refusal_reply(&QuestionRefusal::TooLong).der),
            Ok(Err(NoBody::Broken(error))) => {
                tracing::debug!(%error, "a body broke off");
                return Response::with_body(StatusCode::BAD_REQUEST, Bytes::new());
            }
            Err(_elapsed) => {
                refused("slow_body");
                return Response::with_body(StatusCode::REQUEST_TIMEOUT, Bytes::new());
            }
        };
        let asked = Asked { form: Form::Body, octets: &octets };
        match self.service.begin(&asked) {
            Step::Replied(reply) => plain(reply.der),
            Step::Look(inquiry) => plain(self.service.finish_later(asked, inquiry).await.der),
        }
    }
}

/// What the path asks: all that stands after `/ocsp/`.
fn asked(request: &Request) -> Asked<'_> {
    let octets = request.path().strip_prefix("/ocsp/").unwrap_or_default().as_bytes();
    Asked { form: Form::Path, octets }
}

fn refused(code: &'static str) {
    metrics::counter!("tsunagi_ocsp_http_refusals_total", "code" => code).increment(1);
}

fn is_ocsp_request(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(REQUEST_TYPE))
}
