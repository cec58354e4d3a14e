//! Who is at the other end of the operators' listener.

use std::any::Any;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use ca_core::instruction::operator::{IdentityRefusal, OperatorIdentity};

/// What a connection of the operators' listener knows of its other end, read once when it opens, from the client certificate
/// that the TLS handshake has verified against the operators' CA.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionIdentity(pub(crate) Result<OperatorIdentity, IdentityRefusal>);

/// For `HttpServer::on_connect`: keeps the identity with the connection.
pub(crate) fn remember_identity(connection: &dyn Any, data: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else {
        return;
    };
    let (_, session) = stream.get_ref();
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else {
        return;
    };
    data.insert(ConnectionIdentity(OperatorIdentity::from_certificate(certificate)));
}
