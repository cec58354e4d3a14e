//! Who may do what. Everything is denied that is not allowed here: a route of the operators' listener cannot be registered
//! without saying for whom it is, and which role may do what the domain says.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{Error, FromRequest, Handler, HttpMessage, Responder};
use ca_core::instruction::operator::{Action, OperatorIdentity, Role};

use super::identity::ConnectionIdentity;
use crate::problem::Problem;
use crate::routes::{Route, Routes};

/// For whom a route is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Every operator with a known role.
    AnyOperator,
    /// Operators whose role may do one of these.
    ToDo(&'static [Action]),
}

impl Access {
    /// For who tells what happened to cards.
    pub(crate) const CARD_EVENTS: Self = Self::ToDo(&[Action::ReportCardEvents]);
    /// For who instructs the CA at all; what each role may instruct is decided with the instruction.
    pub(crate) const INSTRUCTING: Self =
        Self::ToDo(&[Action::Hold, Action::Revoke, Action::CommandDevice, Action::RunSchedule, Action::Mass, Action::Audit]);
    /// For who asks what became of an instruction.
    pub(crate) const OUTCOMES: Self =
        Self::ToDo(&[Action::Hold, Action::Revoke, Action::CommandDevice, Action::RunSchedule, Action::Mass, Action::Read]);
    /// For who reads about holders, certificates, devices and schedules.
    pub(crate) const READING: Self = Self::ToDo(&[Action::Read]);
    /// For who looks at figures that tell of nobody in particular: readers, and the back office.
    pub(crate) const FIGURES: Self = Self::ToDo(&[Action::Read, Action::ReportCardEvents]);
    /// For who searches the log, and takes exports of it.
    pub(crate) const AUDITING: Self = Self::ToDo(&[Action::Audit]);
    /// For who asks on behalf of a service that checks certificates.
    pub(crate) const VERIFYING: Self = Self::ToDo(&[Action::LookUp]);

    pub(crate) fn allows(self, role: Role) -> bool {
        match self {
            Self::AnyOperator => true,
            Self::ToDo(actions) => actions.iter().any(|action| role.may(*action)),
        }
    }
}

/// Registers routes, each with its access.
pub(crate) struct OperatorRoutes<'c> {
    routes: Routes<'c>,
    access: Vec<Access>,
}

impl<'c> OperatorRoutes<'c> {
    pub(crate) fn new(config: &'c mut ServiceConfig) -> Self {
        Self { routes: Routes::new(config), access: Vec::new() }
    }

    pub(crate) fn add<F, Args>(&mut self, access: Access, method: Method, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let dress = |resource: actix_web::Resource| resource.wrap(from_fn(move |request, next| check(access, request, next)));
        self.routes.add_within(method, path, handler, dress);
        self.access.push(access);
    }

    /// The routes and for whom they are.
    pub(crate) fn into_registered(self) -> Vec<(Route, Access)> {
        self.routes.into_registered().into_iter().zip(self.access).collect()
    }
}

/// Lets in whoever has a role here at all, and keeps the identity with the request. Around every route of the listener, known
/// or not.
pub(crate) async fn admit(request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let identity = match request.conn_data::<ConnectionIdentity>() {
        Some(ConnectionIdentity(Ok(identity))) => identity.clone(),
        Some(ConnectionIdentity(Err(refusal))) => return Err(Problem::refusal(refusal).into()),
        None => return Err(Problem::new("role_unknown", "The connection has no client certificate.").into()),
    };
    tracing::Span::current().record("operator", identity.name.as_str());
    request.extensions_mut().insert(identity);
    next.call(request).await
}

async fn check(access: Access, request: ServiceRequest, next: Next<impl MessageBody>) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let role = request.extensions().get::<OperatorIdentity>().map(|identity| identity.role);
    if role.is_some_and(|role| access.allows(role)) {
        return next.call(request).await;
    }
    Err(Problem::new("role_not_allowed", "This is not for your role.").into())
}
