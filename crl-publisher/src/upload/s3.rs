//! Amazon S3, and whatever speaks its language: PUT and HEAD of objects, with presigned URLs (AWS Signature Version 4).

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusty_s3::actions::{HeadObject, PutObject, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{ObjectStore, UploadFault};
use crate::settings::S3Settings;

/// A bucket.
pub struct S3Store {
    agent: Agent,
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    in_force_cache: String,
}

/// How long a signature is good: a request takes less, clocks differ by less.
const SIGNED_FOR: Duration = Duration::from_secs(900);

/// The object's own word on which list it is.
const NUMBER: &str = "x-amz-meta-crl-number";

impl S3Store {
    /// A bucket by its settings, with the credentials and the PEM that their files hold. `cache_seconds`: for how long an HTTP cache
    /// may repeat a list in force.
    ///
    /// # Errors
    /// [`UploadFault::Settings`]
    pub fn new(
        settings: &S3Settings,
        access_key: &str,
        secret_key: &str,
        ca_certificate: Option<&[u8]>,
        cache_seconds: u32,
    ) -> Result<Self, UploadFault> {
        let refused = |what: &str| UploadFault::Settings(format!("crl.s3.{what}"));
        let endpoint = settings.endpoint.parse().map_err(|_| refused("endpoint: not a URL"))?;
        let style = if settings.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let bucket = Bucket::new(endpoint, style, settings.bucket.clone(), settings.region.clone())
            .map_err(|error| UploadFault::Settings(format!("crl.s3.bucket: {error}")))?;
        let mut config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(settings.request_seconds.into())))
            .timeout_connect(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tsunagi/", env!("CARGO_PKG_VERSION")))
            // Where we connect is in the settings, not in the environment.
            .proxy(None);
        if let Some(pem) = ca_certificate {
            config = config.https_only(true).tls_config(tls(pem)?);
        }
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            bucket,
            credentials: Credentials::new(access_key, secret_key),
            prefix: if settings.prefix.is_empty() { String::new() } else { format!("{}/", settings.prefix) },
            in_force_cache: format!("public, max-age={cache_seconds}, must-revalidate"),
        })
    }
}

fn tls(pem: &[u8]) -> Result<TlsConfig, UploadFault> {
    let refused = |what: &str| UploadFault::Settings(format!("crl.s3.ca_certificate: {what}"));
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            _ => return Err(refused("something else than certificates in PEM")),
        }
    }
    if roots.is_empty() {
        return Err(refused("no certificate"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).unversioned_rustls_crypto_provider(provider).build())
}

/// The URL has the signature in it, which is as good as a credential while it lasts: faults do not tell it.
fn exchange_fault(error: &ureq::Error) -> UploadFault {
    match error {
        ureq::Error::Timeout(which) => UploadFault::Exchange(format!("no answer in time ({which})")),
        ureq::Error::Io(error) => UploadFault::Exchange(error.to_string()),
        ureq::Error::HostNotFound => UploadFault::Exchange("the host's name is not found".to_owned()),
        ureq::Error::ConnectionFailed => UploadFault::Exchange("no connection".to_owned()),
        ureq::Error::Rustls(error) => UploadFault::Exchange(error.to_string()),
        _ => UploadFault::Exchange("not HTTP as it should be".to_owned()),
    }
}

impl ObjectStore for S3Store {
    fn number_of(&self, object: &str) -> Result<Option<u64>, UploadFault> {
        let object = format!("{}{object}", self.prefix);
        let url = HeadObject::new(&self.bucket, Some(&self.credentials), &object).sign(SIGNED_FOR);
        let response = self.agent.head(url.as_str()).call().map_err(|error| exchange_fault(&error))?;
        match response.status().as_u16() {
            200 => {
                let number = response.headers().get(NUMBER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
                number.map(Some).ok_or(UploadFault::Stranger(object))
            }
            404 => Ok(None),
            status => Err(UploadFault::Refused { status, object }),
        }
    }

    fn put(&self, object: &str, number: u64, file: &Path, immutable: bool) -> Result<(), UploadFault> {
        let object = format!("{}{object}", self.prefix);
        let cache = if immutable { "public, max-age=86400, immutable" } else { self.in_force_cache.as_str() };
        let number = number.to_string();
        let headers = [("cache-control", cache), ("content-type", "application/pkix-crl"), (NUMBER, number.as_str())];
        let mut action = PutObject::new(&self.bucket, Some(&self.credentials), &object);
        for (name, value) in headers {
            action.headers_mut().insert(name, value);
        }
        let mut request = self.agent.put(action.sign(SIGNED_FOR).as_str());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        // Of known length, read while it is sent.
        let response = request.send(File::open(file)?).map_err(|error| exchange_fault(&error))?;
        match response.status().as_u16() {
            200 | 201 | 204 => Ok(()),
            status => Err(UploadFault::Refused { status, object }),
        }
    }
}
