//! The two listeners as actix servers.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpServer, web};
use rustls::ServerConfig;

use crate::edge;
use crate::holders::HolderApi;
use crate::operators::{self, OperatorApi};
use crate::routes::nothing_here;
use crate::settings::ListenerSettings;

/// Applies a listener's bounds to an `HttpServer`: a macro, because naming that type takes types that actix-web does not export.
macro_rules! bounded {
    ($server:expr, $settings:expr) => {{
        let (server, settings): (_, &ListenerSettings) = ($server, $settings);
        let server = if settings.workers == 0 { server } else { server.workers(settings.workers) };
        server
            .disable_signals()
            .shutdown_timeout(10)
            .max_connections(settings.connections)
            .worker_max_blocking_threads(settings.blocking_threads)
            .keep_alive(Duration::from_secs(settings.keep_alive_seconds))
            .client_request_timeout(Duration::from_millis(settings.head_timeout_ms))
            .tls_handshake_timeout(Duration::from_millis(settings.handshake_timeout_ms))
    }};
}

/// Serves holders on `listener`. The future runs until its handle is told to stop; to be polled in an actix system. Installs no
/// signal handlers: when to stop is the composition's business.
pub fn serve_holders(api: &HolderApi, listener: TcpListener, tls: ServerConfig) -> io::Result<Server> {
    let settings = api.listener().clone();
    let api = api.clone();
    let server = HttpServer::new(move || holder_app(&api));
    Ok(bounded!(server, &settings).listen_rustls_0_23(listener, tls)?.run())
}

/// Serves operators on `listener`, with a configuration of [`crate::operator_tls`]. As [`serve_holders`].
pub fn serve_operators(api: &OperatorApi, listener: TcpListener, tls: ServerConfig) -> io::Result<Server> {
    let settings = api.listener().clone();
    let api = api.clone();
    let server = HttpServer::new(move || operator_app(&api)).on_connect(operators::remember_identity);
    Ok(bounded!(server, &settings).listen_rustls_0_23(listener, tls)?.run())
}

fn holder_app(
    api: &HolderApi,
) -> App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + use<>> {
    let edge = api.edge();
    App::new()
        .configure(|config| drop(api.configure(config)))
        .default_service(web::to(nothing_here))
        .wrap(from_fn(move |request, next| edge::pass(edge.clone(), request, next)))
}

fn operator_app(
    api: &OperatorApi,
) -> App<impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()> + use<>> {
    let edge = api.edge();
    App::new()
        .configure(|config| drop(api.configure(config)))
        .default_service(web::to(nothing_here))
        .wrap(from_fn(operators::admit))
        .wrap(from_fn(move |request, next| edge::pass(edge.clone(), request, next)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::sync::Arc;

    use ca_core::application::challenge::ChallengeKey;
    use ca_core::application::verified::Evidence;
    use ca_core::application::verifier::{ApplicationVerifier, CardSignedApplication};
    use ca_core::card::authority::CardAuthorities;
    use ca_core::card::identity::CardIdentity;
    use ca_core::clock::SystemClock;
    use ca_core::instruction::InstructionVerifier;
    use ca_core::instruction::operator::{OperatorAuthorities, Role};
    use ca_core::pseudonym::PseudonymKey;
    use chrono::{DateTime, TimeDelta, Utc};
    use schema::Database;
    use schema::log_health::LogHealth;

    use super::*;
    use crate::decisions::Decisions;
    use crate::holders::{EvidenceFailure, EvidenceLimits, EvidenceSource, HolderParts};
    use crate::operators::{Access, OperatorParts};
    use crate::problem::CATALOGUE;
    use crate::routes::Route;
    use crate::settings::{HolderSettings, OperatorSettings};

    struct NoEvidence;

    impl EvidenceSource for NoEvidence {
        fn collect(&self, _: &ApplicationVerifier, _: &CardSignedApplication<'_>, _: DateTime<Utc>) -> Result<Evidence, EvidenceFailure> {
            panic!("not called");
        }

        fn holder_id(&self, _: &CardIdentity) -> Result<String, EvidenceFailure> {
            panic!("not called");
        }
    }

    /// The routes of both listeners; the operators' with their access.
    fn registered() -> (Vec<Route>, Vec<(Route, Access)>) {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::create(&format!("sqlite://{}", directory.path().join("store.db").display())).unwrap();
        let policy = policies::shipped().unwrap().application.as_ref().clone();
        let verifier = Arc::new(ApplicationVerifier::new(policy, CardAuthorities::default(), Vec::new(), "ra".to_owned()));
        let instructions = Arc::new(InstructionVerifier::new(Arc::clone(&verifier), Vec::new(), OperatorAuthorities::default()));
        let (reader, writer, clock) = (database.reader(), database.writer(), Arc::new(SystemClock));
        let challenge_key = Arc::new(ChallengeKey::new(&[0; 32]));
        let decisions = Decisions::follow(reader.clone(), database.wake()).unwrap();
        let log = LogHealth::new(reader.clone(), TimeDelta::days(1));
        let operators = OperatorParts {
            settings: OperatorSettings::default(),
            clock: clock.clone(),
            reader: reader.clone(),
            log: log.clone(),
            writer: writer.clone(),
            instructions: Arc::clone(&instructions),
            challenge_key: Arc::clone(&challenge_key),
            pseudonym_key: PseudonymKey::new(&[0; 32]),
            decisions: decisions.clone(),
        };
        let day = TimeDelta::days(1);
        let holders = HolderParts {
            settings: HolderSettings::default(),
            clock,
            verifier,
            instructions,
            challenge_key,
            evidence: Arc::new(NoEvidence),
            evidence_limits: EvidenceLimits { feed: day, card_crl: day, comparison: day },
            log,
            decisions,
            reader,
            writer,
        };
        let (holders, operators) = (HolderApi::new(holders).unwrap(), OperatorApi::new(operators).unwrap());
        let (mut of_holders, mut of_operators) = (Vec::new(), Vec::new());
        App::new().configure(|config| of_holders.extend(holders.configure(config)));
        App::new().configure(|config| of_operators.extend(operators.configure(config)));
        (of_holders, of_operators)
    }

    fn name(route: &Route) -> (String, String) {
        (route.method.as_str().to_lowercase(), route.path.to_owned())
    }

    #[test]
    fn each_role_may_do_what_is_described_and_nothing_else() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let (_, operators) = registered();
        let mut allowed: HashMap<Role, BTreeSet<&str>> = HashMap::new();
        for (route, access) in &operators {
            let (method, path) = name(route);
            let roles: BTreeSet<&str> = Role::ALL.into_iter().filter(|role| access.allows(*role)).map(Role::as_str).collect();
            let described = document["paths"][path][method]["security"].as_array().cloned().unwrap_or_default();
            let described = described.iter().find_map(|requirement| requirement["operator"].as_array());
            match described {
                Some(described) => {
                    assert_eq!(described.iter().map(|role| role.as_str().unwrap()).collect::<BTreeSet<_>>(), roles, "{route:?}")
                }
                None => assert_eq!(*access, Access::AnyOperator, "{route:?}"),
            }
            if *access != Access::AnyOperator {
                for role in Role::ALL.into_iter().filter(|role| access.allows(*role)) {
                    allowed.entry(role).or_default().insert(route.path);
                }
            }
        }
        let verifying = BTreeSet::from(["/v1/verifier/lookups", "/v1/verifier/pseudonyms"]);
        let reading_and_instructing = allowed[&Role::Auditor].iter().copied().filter(|path| !path.starts_with("/v1/audit/")).collect();
        assert_eq!(allowed[&Role::BackOffice], BTreeSet::from(["/v1/card-events", "/v1/latency"]));
        assert_eq!(allowed[&Role::CallCentre], reading_and_instructing);
        assert_eq!(allowed[&Role::Verifier], verifying);
        assert_eq!(allowed[&Role::Administrator].len(), operators.len() - 3);
        for path in ["/v1/card-events", "/v1/verifier/lookups", "/v1/verifier/pseudonyms"] {
            assert!(!allowed[&Role::Auditor].contains(path), "{path}");
        }
    }

    #[test]
    fn every_registered_route_is_described_and_every_described_one_registered() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let described: BTreeSet<(String, String)> =
            paths.iter().flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone()))).collect();
        let (holders, operators) = registered();
        assert_eq!(described, holders.iter().chain(operators.iter().map(|(route, _)| route)).map(name).collect());
    }

    #[test]
    fn every_problem_code_is_described_and_those_of_operations_with_their_status() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let listed: BTreeSet<&str> = document["components"]["schemas"]["ProblemCode"]["enum"]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_str().unwrap())
            .collect();
        assert_eq!(listed, CATALOGUE.iter().map(|entry| entry.code).collect());
        let operations: String = document["paths"].to_string();
        for entry in CATALOGUE.iter().filter(|entry| entry.group != crate::problem::Group::Routing) {
            assert!(operations.contains(&format!("`{}`", entry.code)), "{} belongs to no operation", entry.code);
        }
    }

    #[test]
    fn the_description_refers_to_nothing_that_is_missing() {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let schemas = &document["components"]["schemas"];
        let text = document.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas[name].is_object(), "{name} is referred to and missing");
        }
        assert_eq!(document["components"]["securitySchemes"]["operator"]["type"], "mutualTLS");
    }
}
