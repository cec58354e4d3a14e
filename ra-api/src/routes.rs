//! Registering routes, so that what is registered can be compared with what is described.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Resource, Responder};

use crate::problem::Problem;

/// One route of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The method; any other on the same path is answered 405.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
}

/// Registers routes with actix and remembers them.
pub(crate) struct Routes<'c> {
    config: &'c mut ServiceConfig,
    registered: Vec<Route>,
}

impl<'c> Routes<'c> {
    pub(crate) fn new(config: &'c mut ServiceConfig) -> Self {
        Self { config, registered: Vec::new() }
    }

    /// Registers a handler that anyone may call who gets so far.
    pub(crate) fn add<F, Args>(&mut self, method: Method, path: &'static str, handler: F)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.add_within(method, path, handler, |resource| resource);
    }

    /// Registers a handler in a resource that `dress` has put something around.
    pub(crate) fn add_within<F, Args, S>(&mut self, method: Method, path: &'static str, handler: F, dress: impl FnOnce(Resource) -> S)
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
        S: HttpServiceFactory + 'static,
    {
        let allowed = allowed(&method);
        let resource = web::resource(path)
            .route(web::method(method.clone()).to(handler))
            .default_service(web::to(move || std::future::ready(method_not_allowed(allowed))));
        self.config.service(dress(resource));
        self.registered.push(Route { method, path });
    }

    pub(crate) fn into_registered(self) -> Vec<Route> {
        self.registered
    }
}

/// The answer where there is no route.
pub(crate) async fn nothing_here() -> Result<&'static str, Problem> {
    Err(Problem::new("route_unknown", "There is nothing at this path."))
}

fn method_not_allowed(allowed: &'static str) -> Result<&'static str, Problem> {
    Err(Problem::new("method_not_allowed", format!("The path has the method {allowed} only.")).allow(allowed))
}

fn allowed(method: &Method) -> &'static str {
    if *method == Method::POST { "POST" } else { "GET" }
}
