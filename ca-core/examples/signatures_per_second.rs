//! Signatures a second: keys on a token (PKCS #11) with 1 and 8 threads, and beside them the same types of key in this process.
//!
//! `cargo run --release -p ca-core --features pkcs11 --example signatures_per_second -- MODULE TOKEN PIN_FILE`
//!
//! Makes keys on the token, and removes them again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::{Duration, Instant};

use ca_core::signer::pkcs11::{Token, TokenPlace};
use ca_core::signer::{FileSigner, KeyType, MessageDigest, Signer, digest_algorithm};
use secrecy::SecretString;

/// How long each is measured.
const TIME: Duration = Duration::from_secs(3);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let [module, token, pin_file] = [(); 3].map(|()| arguments.next().expect("MODULE TOKEN PIN_FILE"));
    let pin = SecretString::from(std::fs::read_to_string(pin_file).unwrap().trim());
    let token = Token::open(TokenPlace { module: module.into(), token, pin, sessions: 8 }).unwrap();
    println!("{:<11} {:<28} {:>9} {:>9}", "key", "where", "1 thread", "8 threads");
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096] {
        let label = format!("measured-{key_type}");
        let on_token = token.create_key(&label, key_type).unwrap();
        show(key_type, "the token, message", &|| drop(on_token.sign(b"message").unwrap()));
        on_token.destroy().unwrap();
        let in_process = FileSigner::generate(key_type).unwrap();
        show(key_type, "this process, message", &|| drop(in_process.sign(b"message").unwrap()));
        if in_process.takes_digests() {
            let digest = MessageDigest::of(digest_algorithm(key_type), b"message");
            show(key_type, "this process, digest", &|| drop(in_process.sign_digest(&digest).unwrap()));
        }
    }
}

fn show(key_type: KeyType, place: &str, sign: &(dyn Fn() + Sync)) {
    println!("{:<11} {place:<28} {:>9.0} {:>9.0}", key_type.as_str(), rate(1, sign), rate(8, sign));
}

fn rate(threads: usize, sign: &(dyn Fn() + Sync)) -> f64 {
    let begin = Instant::now();
    let count: u32 = std::thread::scope(|scope| {
        let work = || {
            let mut count = 0;
            while begin.elapsed() < TIME {
                sign();
                count += 1;
            }
            count
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    f64::from(count) / begin.elapsed().as_secs_f64()
}
