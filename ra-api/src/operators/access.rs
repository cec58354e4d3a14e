//! Who may do what. Everything is denied that is not allowed here: a route of the operators' listener cannot be registered
//! without saying for whom it is.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{Error, FromRequest, Handler, HttpMessage, Responder};

use super::identity::{ConnectionIdentity, OperatorIdentity, Role};
use crate::problem::Problem;
use crate::routes::{Route, Routes};

/// For whom a route is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Every operator with a known role.
    AnyOperator,
    /// Operators of this role only.
    Only(Role),
}

/// Registers routes, each with its access.
pub(crate) struct OperatorRoutes<'c>(Routes<'c>);

impl<'c> OperatorRoutes<'c> {
    pub(crate) fn new(config: &'c mut ServiceConfig) -> Self {
        Self(Routes::new(config))
    }

    pub(crate) fn add<F, Args>(&mut self, access: Access, method: Method, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.0.add_within(method, path, handler, |resource| resource.wrap(from_fn(move |request, next| check(access, request, next))));
    }

    pub(crate) fn into_registered(self) -> Vec<Route> {
        self.0.into_registered()
    }
}

/// Lets in whoever has a role here at all, and keeps the identity with the request. Around every route of the listener, known
/// or not.
pub(crate) async fn admit(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let identity = match request.conn_data::<ConnectionIdentity>() {
        Some(ConnectionIdentity(Ok(identity))) => identity.clone(),
        Some(ConnectionIdentity(Err(refusal))) => return Err(Problem::new("role_unknown", refusal.to_string()).into()),
        None => return Err(Problem::new("role_unknown", "The connection has no client certificate.").into()),
    };
    tracing::Span::current().record("operator", identity.name.as_str());
    request.extensions_mut().insert(identity);
    next.call(request).await
}

async fn check(access: Access, request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let role = request.extensions().get::<OperatorIdentity>().map(|identity| identity.role);
    let allowed = match access {
        Access::AnyOperator => role.is_some(),
        Access::Only(one) => role == Some(one),
    };
    if allowed { next.call(request).await } else { Err(Problem::new("role_not_allowed", "This is not for your role.").into()) }
}
