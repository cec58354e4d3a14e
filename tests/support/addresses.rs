//! Free addresses.

use std::net::{SocketAddr, TcpListener};

use sandbox::keys::random_below;

/// Loopback addresses that nobody listens at. They lie below the ports that outgoing connections are given, so that none of
/// those takes one before it is used, or while a process is restarted.
pub fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let mut held: Vec<TcpListener> = Vec::with_capacity(N);
    while held.len() < N {
        let port = u16::try_from(10_000 + random_below(10_000).unwrap()).unwrap();
        held.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    std::array::from_fn(|place| held[place].local_addr().unwrap())
}

/// One of them.
pub fn free_address() -> SocketAddr {
    let [address] = free_addresses();
    address
}
