//! Names to addresses, remembered for a while.
//!
//! ureq resolves a name anew for each exchange, kept-alive connection or not, and starts a thread for it wherever a timeout is
//! set. At hundreds of exchanges a second that costs more than the exchanges do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long an address is believed: shorter than anybody who moves a service waits.
const REMEMBERED: Duration = Duration::from_secs(30);

/// Asks the system, and remembers what it said.
#[derive(Debug, Default)]
pub(crate) struct RememberingResolver {
    system: DefaultResolver,
    known: Mutex<HashMap<String, (Instant, ResolvedSocketAddrs)>>,
}

impl Resolver for RememberingResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        // The scheme says the port where the authority does not.
        let name = format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |authority| authority.as_str()));
        let now = Instant::now();
        if let Some((until, addresses)) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&name)
            && now < *until
        {
            return Ok(addresses.clone());
        }
        let addresses = self.system.resolve(uri, config, timeout)?;
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (now + REMEMBERED, addresses.clone()));
        Ok(addresses)
    }
}
