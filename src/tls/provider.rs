//! What rustls is given to work with, by number and name.

use std::sync::Arc;

use rustls::crypto::cipher::{Tls12AeadAlgorithm, Tls13AeadAlgorithm};
use rustls::crypto::hash::Hash;
use rustls::crypto::tls12::{Prf, PrfUsingHmac};
use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, GetRandomFailed, KeyExchangeAlgorithm, KeyProvider};
use rustls::crypto::{SecureRandom, WebPkiSupportedAlgorithms};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{CipherSuite, Error, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::groups::GROUPS;
use super::records::{AES_128, AES_256, CHACHA20};
use super::sha::{SHA_256, SHA_384};

/// How a server may sign: as it likes, since it is not verified. SHA-1 is in it for the oldest of certificates.
pub(super) const SIGNATURES: &[SignatureScheme] = &[
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA256,
    SignatureScheme::ED25519,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::ECDSA_SHA1_Legacy,
    SignatureScheme::RSA_PKCS1_SHA1,
];

static HKDF_256: HkdfUsingHmac<'_> = HkdfUsingHmac(&SHA_256);
static HKDF_384: HkdfUsingHmac<'_> = HkdfUsingHmac(&SHA_384);
static PRF_256: PrfUsingHmac<'_> = PrfUsingHmac(&SHA_256);
static PRF_384: PrfUsingHmac<'_> = PrfUsingHmac(&SHA_384);

/// What is preferred comes first.
static TLS_1_3: [Tls13CipherSuite; 3] = [
    tls13(CipherSuite::TLS13_AES_128_GCM_SHA256, &AES_128, &SHA_256, &HKDF_256),
    tls13(CipherSuite::TLS13_AES_256_GCM_SHA384, &AES_256, &SHA_384, &HKDF_384),
    tls13(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, &CHACHA20, &SHA_256, &HKDF_256),
];
static TLS_1_2: [Tls12CipherSuite; 6] = [
    tls12(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &AES_128, &SHA_256, &PRF_256),
    tls12(CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, &AES_128, &SHA_256, &PRF_256),
    tls12(CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, &AES_256, &SHA_384, &PRF_384),
    tls12(CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, &AES_256, &SHA_384, &PRF_384),
    tls12(CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &CHACHA20, &SHA_256, &PRF_256),
    tls12(CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, &CHACHA20, &SHA_256, &PRF_256),
];

/// All of it.
pub(super) fn provider() -> CryptoProvider {
    let newer = TLS_1_3.iter().map(SupportedCipherSuite::Tls13);
    CryptoProvider {
        cipher_suites: newer.chain(TLS_1_2.iter().map(SupportedCipherSuite::Tls12)).collect(),
        kx_groups: GROUPS.to_vec(),
        // For verifiers that verify.
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &[], mapping: &[] },
        secure_random: &Kernel,
        key_provider: &Keyless,
    }
}

const fn tls13(
    suite: CipherSuite,
    aead_alg: &'static dyn Tls13AeadAlgorithm,
    hash: &'static dyn Hash,
    hkdf_provider: &'static dyn Hkdf,
) -> Tls13CipherSuite {
    Tls13CipherSuite { common: common(suite, hash), hkdf_provider, aead_alg, quic: None }
}

const fn tls12(
    suite: CipherSuite,
    aead_alg: &'static dyn Tls12AeadAlgorithm,
    hash: &'static dyn Hash,
    prf_provider: &'static dyn Prf,
) -> Tls12CipherSuite {
    let (common, kx) = (common(suite, hash), KeyExchangeAlgorithm::ECDHE);
    Tls12CipherSuite { common, prf_provider, kx, sign: SIGNATURES, aead_alg }
}

const fn common(suite: CipherSuite, hash_provider: &'static dyn Hash) -> CipherSuiteCommon {
    // So many records may be sealed by AES-GCM with one key (RFC 8446, 5.5).
    CipherSuiteCommon { suite, hash_provider, confidentiality_limit: 1 << 24 }
}

/// The kernel's random numbers.
#[derive(Debug)]
struct Kernel;

impl SecureRandom for Kernel {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(bytes).map_err(|_| GetRandomFailed)
    }
}

/// There is no key of ours.
#[derive(Debug)]
struct Keyless;

impl KeyProvider for Keyless {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("no keys are kept here".to_string()))
    }
}
