//! `tsunagi init`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use policies::KeyType;
use serde_json::json;

use crate::failure::Failure;
use crate::init::{self, BackOfficeAnswer, CardAnswer, CardAuthorityAnswer, Plan};
use crate::installation::read_named;
use crate::output::{Output, pairs};
use crate::sandbox_files::SandboxFiles;
use crate::settings::{Pkcs11Topic, ShippedLifecycle};

/// Set up an installation in a new directory
///
/// Makes a CA key and a responder key for each kind (encrypted PKCS#8; CA keys on a token if one is named), TLS certificates, the operators' CA with its first
/// certificates, the store, and settings that say all of it. With --sandbox the back office, the card CA and the push service
/// are those of a running `tsunagi sandbox back-office`; without, name your own.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The new directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The directory of a sandbox back office: says all that the other back-office and card options say
    #[arg(long, value_name = "DIR", conflicts_with_all = ["back_office_url", "back_office_ca", "back_office_token"])]
    sandbox: Option<PathBuf>,
    /// The back office's address: https://…
    #[arg(long, value_name = "URL", required_unless_present = "sandbox")]
    back_office_url: Option<String>,
    /// The CA of the back office's TLS certificate, PEM
    #[arg(long, value_name = "FILE", required_unless_present = "sandbox")]
    back_office_ca: Option<PathBuf>,
    /// A file with the token that the back office wants to see
    #[arg(long, value_name = "FILE", required_unless_present = "sandbox")]
    back_office_token: Option<PathBuf>,
    /// A certificate of the CA of the cards' signature certificates; once for each key generation
    #[arg(long, value_name = "FILE", required_unless_present = "sandbox")]
    card_signature_ca: Vec<PathBuf>,
    /// Where that CA answers OCSP requests
    #[arg(long, value_name = "URL", required_unless_present = "sandbox")]
    card_signature_ocsp: Option<String>,
    /// Where that CA's CRLs are, with {distribution_point} in it
    #[arg(long, value_name = "URL", required_unless_present = "sandbox")]
    card_signature_crl: Option<String>,
    /// A certificate of the CA of the cards' authentication certificates; once for each key generation
    #[arg(long, value_name = "FILE", required_unless_present = "sandbox")]
    card_authentication_ca: Vec<PathBuf>,
    /// Where that CA answers OCSP requests
    #[arg(long, value_name = "URL", required_unless_present = "sandbox")]
    card_authentication_ocsp: Option<String>,
    /// Where that CA's CRLs are, with {distribution_point} in it
    #[arg(long, value_name = "URL", required_unless_present = "sandbox")]
    card_authentication_crl: Option<String>,
    /// The store: sqlite://PATH (a relative path is taken from DIR) or postgres://…
    #[arg(long, value_name = "URL", default_value = "sqlite://tsunagi.sqlite")]
    store: String,
    /// The RA's name: the audience that applications must be made for
    #[arg(long, value_name = "NAME", default_value = "ra.localhost")]
    ra_name: String,
    /// Where holders connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    ra_listen: SocketAddr,
    /// Where operators connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9443")]
    operators_listen: SocketAddr,
    /// Where relying parties connect
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    status_listen: SocketAddr,
    /// What relying parties reach that as: stands in every certificate [default: http://STATUS_LISTEN]
    #[arg(long, value_name = "URL")]
    status_url: Option<String>,
    /// Where metrics and health are served, plain HTTP, for inside
    #[arg(long, value_name = "ADDRESS")]
    telemetry_listen: Option<SocketAddr>,
    /// A host name or address for the TLS certificates; may be given more than once
    #[arg(long = "host", value_name = "HOST", default_values = ["localhost", "127.0.0.1"])]
    hosts: Vec<String>,
    /// The CA keys: ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072, rsa-4096 [default: the policy's]
    #[arg(long, value_name = "TYPE", value_parser = key_type)]
    key_type: Option<KeyType>,
    /// The PKCS #11 library of a token on which the CA keys are made; without, they are encrypted files
    #[arg(long, value_name = "FILE", requires_all = ["pkcs11_token", "pkcs11_pin_file"])]
    pkcs11_module: Option<PathBuf>,
    /// The label of that token, which is initialised and has no key of an installation yet
    #[arg(long, value_name = "LABEL", requires = "pkcs11_module")]
    pkcs11_token: Option<String>,
    /// A file with the PIN of that token's user; the settings name it
    #[arg(long, value_name = "FILE", requires = "pkcs11_module")]
    pkcs11_pin_file: Option<PathBuf>,
    /// A directory with policies of your own
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// Which shipped life cycle holds: whether holds are lifted, and what becomes of certificates when something happens to the card
    #[arg(long, value_name = "NAME", default_value = "jpki", conflicts_with = "policies")]
    lifecycle: ShippedLifecycle,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<(), Failure> {
    let (back_office, card, push) = match &arguments.sandbox {
        Some(directory) => {
            let sandbox = SandboxFiles::read(directory)?;
            let (back_office, card) = sandbox.answers()?;
            (back_office, card, sandbox.push()?)
        }
        None => (named_back_office(arguments)?, named_card(arguments)?, None),
    };
    let plan = Plan {
        directory: arguments.directory.clone(),
        store_url: arguments.store.clone(),
        ra_name: arguments.ra_name.clone(),
        ra_listen: arguments.ra_listen,
        operators_listen: arguments.operators_listen,
        status_listen: arguments.status_listen,
        status_url: arguments.status_url.clone().unwrap_or_else(|| format!("http://{}", arguments.status_listen)),
        hosts: arguments.hosts.clone(),
        key_type: arguments.key_type,
        pkcs11: named_token(arguments)?,
        policy_directory: arguments.policies.clone(),
        lifecycle: arguments.lifecycle,
        back_office,
        card,
        push,
        telemetry_listen: arguments.telemetry_listen,
    };
    let settings = init::carry_out(&plan, |step| {
        if output == Output::Text {
            eprintln!("  {step}");
        }
    })?;
    let directory = settings.directory.display().to_string();
    let result = json!({
        "directory": directory,
        "settings": settings.path(Path::new(crate::settings::FILE_NAME)),
        "holders": format!("https://{}", plan.ra_listen),
        "operators": format!("https://{}", plan.operators_listen),
        "status": plan.status_url,
    });
    let ca_keys = match &plan.pkcs11 {
        Some(pkcs11) => format!("on the token {}; {} opens it", pkcs11.token, pkcs11.pin_file.display()),
        None => format!("{directory}/ca/ (encrypted; move the passphrase to where you keep such things)"),
    };
    output.print(&result, |_| {
        let lines = pairs(&[
            ("settings", format!("{directory}/settings.toml")),
            ("operators' certificates", format!("{directory}/operators/*.pem")),
            ("CA certificates", format!("{directory}/ca/ca-*.pem: what relying parties trust")),
            ("CA keys", ca_keys),
        ]);
        format!("The installation is ready.\n\n{lines}\n\nServe it:  tsunagi serve --settings {directory}")
    })
}

fn named_token(arguments: &Arguments) -> Result<Option<Pkcs11Topic>, Failure> {
    let (Some(module), Some(token), Some(pin_file)) = (&arguments.pkcs11_module, &arguments.pkcs11_token, &arguments.pkcs11_pin_file)
    else {
        return Ok(None);
    };
    let absolute = |path: &Path| std::path::absolute(path).map_err(|error| Failure::usage(format!("{}: {error}", path.display())));
    Ok(Some(Pkcs11Topic {
        module: absolute(module)?,
        token: token.clone(),
        pin_file: absolute(pin_file)?,
        sessions: Pkcs11Topic::sessions(),
    }))
}

fn named_back_office(arguments: &Arguments) -> Result<BackOfficeAnswer, Failure> {
    let (Some(url), Some(ca), Some(token)) = (&arguments.back_office_url, &arguments.back_office_ca, &arguments.back_office_token) else {
        return Err(Failure::settings("--back-office-url, --back-office-ca and --back-office-token go together"));
    };
    Ok(BackOfficeAnswer { url: url.clone(), ca_certificate: read_text(ca)?, token: read_text(token)?.trim().to_owned() })
}

fn named_card(arguments: &Arguments) -> Result<CardAnswer, Failure> {
    let answer = |certificates: &[PathBuf], ocsp: &Option<String>, crl: &Option<String>| {
        let (Some(ocsp_url), Some(crl_url)) = (ocsp.clone(), crl.clone()) else {
            return Err(Failure::settings("a card CA needs its OCSP and CRL URLs"));
        };
        let certificates = certificates.iter().map(|path| read_named(path)).collect::<Result<_, _>>()?;
        Ok(CardAuthorityAnswer { certificates, ocsp_url, crl_url })
    };
    Ok(CardAnswer {
        signature: answer(&arguments.card_signature_ca, &arguments.card_signature_ocsp, &arguments.card_signature_crl)?,
        authentication: answer(&arguments.card_authentication_ca, &arguments.card_authentication_ocsp, &arguments.card_authentication_crl)?,
    })
}

fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read_named(path)?).map_err(|_| Failure::settings(format!("{}: not text", path.display())))
}

pub(super) fn key_type(word: &str) -> Result<KeyType, String> {
    let words = || KeyType::ALL.map(KeyType::as_str).join(", ");
    KeyType::from_word(word).ok_or_else(|| format!("one of {}", words()))
}
