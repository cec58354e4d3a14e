//! Copying lists to an object store that others wrote (s3s-fs), which verifies every signature.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::signer::KeyType;
use crl_publisher::list::{Heading, ListWriter};
use crl_publisher::shelf::Expected;
use crl_publisher::upload::{ObjectStore, S3Store, UploadFault, Uploader};
use crl_publisher::{S3Settings, Shelf};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use support::{at, issuer};

/// A store with the bucket `lists`, whose objects are files under `directory/lists`. It serves until the process ends.
fn object_store(directory: &Path) -> SocketAddr {
    std::fs::create_dir(directory.join("lists")).unwrap();
    let mut service = S3ServiceBuilder::new(FileSystem::new(directory).unwrap());
    service.set_auth(SimpleAuth::from_single("access", "secret"));
    let service = service.build();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move { Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await });
            }
        });
    });
    address
}

fn settings(address: SocketAddr) -> S3Settings {
    S3Settings {
        endpoint: format!("http://{address}"),
        region: "ap-northeast-1".to_owned(),
        bucket: "lists".to_owned(),
        prefix: "crl/jp".to_owned(),
        path_style: true,
        access_key_file: "access".into(),
        secret_key_file: "secret".into(),
        ca_certificate: None,
        request_seconds: 5,
    }
}

fn client(address: SocketAddr, secret: &str) -> S3Store {
    S3Store::new(&settings(address), "access", secret, None, 10).unwrap()
}

/// Puts a list of that number on the shelf; its octets.
fn shelve(shelf: &Shelf, number: u64) -> Vec<u8> {
    let issuer = issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, at("2026-03-01T00:00:00Z"));
    let heading = Heading { number, this_update: at("2026-03-01T12:00:00Z"), next_update: at("2026-03-01T19:00:00Z") };
    let path = shelf.work_directory().join(format!("signature-1-{number}.crl"));
    let writer = ListWriter::begin(&path.with_extension("entries")).unwrap();
    writer.finish(&heading, &issuer, 0, &path).unwrap();
    let octets = std::fs::read(&path).unwrap();
    let sha256 = Sha256Digest::of(&octets);
    let signed_by = issuer.ca_key().subject_public_key().to_vec();
    shelf.place(&Expected { label: "signature-1".to_owned(), number, octets: octets.len() as u64, sha256, signed_by }, &path).unwrap();
    octets
}

#[test]
fn lists_are_copied_under_their_number_and_as_the_one_in_force_and_a_lower_one_never_over_a_higher() {
    let (objects, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = object_store(objects.path());
    let shelf = Arc::new(Shelf::open(directory.path()).unwrap());
    let store = Arc::new(client(address, "secret"));
    let leads = || true;
    let object = |name: &str| std::fs::read(objects.path().join("lists/crl/jp").join(name)).ok();

    let mut uploader = Uploader::new(Arc::clone(&shelf), store.clone());
    assert_eq!(uploader.look(&leads), 0);
    let seventh = shelve(&shelf, 7);
    assert_eq!(uploader.look(&leads), 1);
    assert_eq!(object("signature-1.crl").as_ref(), Some(&seventh));
    assert_eq!(object("signature-1/7.crl").as_ref(), Some(&seventh));
    assert_eq!(store.number_of("signature-1.crl").unwrap(), Some(7));
    assert_eq!(store.number_of("signature-2.crl").unwrap(), None);
    assert_eq!(uploader.look(&leads), 0, "it is there");

    let ninth = shelve(&shelf, 9);
    assert_eq!(uploader.look(&|| false), 0, "whoever does not lead copies nothing");
    assert_eq!(uploader.look(&leads), 1);
    assert_eq!((object("signature-1.crl"), object("signature-1/7.crl")), (Some(ninth.clone()), Some(seventh)));

    // Another machine whose shelf is behind.
    let elsewhere = tempfile::tempdir().unwrap();
    let behind = Arc::new(Shelf::open(elsewhere.path()).unwrap());
    shelve(&behind, 8);
    Uploader::new(behind, store).look(&leads);
    assert_eq!(object("signature-1.crl"), Some(ninth));
    assert_eq!(object("signature-1/8.crl"), None);

    // What is told to those who fetch.
    let told = ureq::get(&format!("http://{address}/lists/crl/jp/signature-1.crl")).call();
    assert!(told.is_err(), "not without a signature in this store");
    let attributes: Vec<String> = std::fs::read_dir(objects.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let in_force = attributes.iter().find(|text| text.contains("must-revalidate")).unwrap();
    assert!(in_force.contains("application/pkix-crl") && in_force.contains("max-age=10") && in_force.contains("\"9\""), "{in_force}");
    assert!(attributes.iter().any(|text| text.contains("immutable")), "{attributes:?}");
}

#[test]
fn a_store_that_refuses_or_is_away_is_tried_again_later_and_nothing_waits_for_it() {
    let (objects, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = object_store(objects.path());
    let shelf = Arc::new(Shelf::open(directory.path()).unwrap());
    shelve(&shelf, 1);
    let refused = client(address, "another secret").number_of("signature-1.crl");
    assert!(matches!(refused, Err(UploadFault::Refused { status: 403, .. })), "{refused:?}");

    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = client(gone, "secret").number_of("signature-1.crl");
    let Err(UploadFault::Exchange(said)) = &away else { panic!("{away:?}") };
    assert!(!said.contains("X-Amz"), "{said}");

    // A store that is away at first.
    struct Comes(S3Store, AtomicBool);
    impl ObjectStore for Comes {
        fn number_of(&self, object: &str) -> Result<Option<u64>, UploadFault> {
            if self.1.load(Ordering::Relaxed) { self.0.number_of(object) } else { Err(UploadFault::Exchange("away".to_owned())) }
        }
        fn put(&self, object: &str, number: u64, file: &Path, immutable: bool) -> Result<(), UploadFault> {
            self.0.put(object, number, file, immutable)
        }
    }
    let store = Arc::new(Comes(client(address, "secret"), AtomicBool::new(false)));
    let mut uploader = Uploader::new(Arc::clone(&shelf), store.clone());
    assert_eq!(uploader.look(&|| true), 0);
    store.1.store(true, Ordering::Relaxed);
    assert_eq!(uploader.look(&|| true), 0, "not at once again");
    let stop = Arc::new(AtomicBool::new(false));
    let thread = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || uploader.run(&|| true, &stop)
    });
    let there = objects.path().join("lists/crl/jp/signature-1.crl");
    for _ in 0..500 {
        if there.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert!(there.exists());
}

#[test]
fn an_object_of_somebody_else_is_not_taken_for_a_list() {
    let (objects, directory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = object_store(objects.path());
    std::fs::create_dir_all(objects.path().join("lists/crl/jp")).unwrap();
    std::fs::write(objects.path().join("lists/crl/jp/signature-1.crl"), b"something else").unwrap();
    let shelf = Arc::new(Shelf::open(directory.path()).unwrap());
    shelve(&shelf, 1);
    let store = client(address, "secret");
    assert!(matches!(store.number_of("signature-1.crl"), Err(UploadFault::Stranger(_))));
    assert_eq!(Uploader::new(shelf, Arc::new(store)).look(&|| true), 0);
    assert_eq!(std::fs::read(objects.path().join("lists/crl/jp/signature-1.crl")).unwrap(), b"something else");
}
